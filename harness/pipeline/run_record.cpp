#include "harness/pipeline/run_record.h"

#include <sys/utsname.h>
#include <unistd.h>
#include <array>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "harness/build_info.h"

namespace moebench {
namespace {

constexpr int kRunFailed = 4;

// The value of the first "name : value" line of /proc/cpuinfo.
std::string cpuinfo(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (!line.starts_with(name) || colon == std::string::npos || colon + 2 > line.size()) continue;
    return line.substr(colon + 2);
  }
  return "";
}

// The widest vector unit that matrix products use: it decides how fast the machine is, and the last bits of results.
std::string vector_class() {
  const std::string flags = " " + cpuinfo("flags") + " ";
  for (const char* flag : {"amx_bf16", "avx512_bf16", "avx512f", "avx2", "avx"}) {
    if (flags.find(" " + std::string(flag) + " ") != std::string::npos) return flag;
  }
  return "baseline";
}

std::string os_name(const utsname& system) {
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("PRETTY_NAME=\"")) return line.substr(13, line.size() - 14);
  }
  return system.sysname;
}

}  // namespace

double seconds_since_epoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string random_uuid() {
  std::random_device device;
  std::array<uint32_t, 4> words;
  for (uint32_t& word : words) word = device();
  words[1] = (words[1] & 0xffff0fff) | 0x4000;      // version 4
  words[2] = (words[2] & 0x3fffffff) | 0x80000000;  // RFC 4122 variant
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16, words[1] & 0xffff,
                     words[2] >> 16, words[2] & 0xffff, words[3]);
}

RunRecord make_run(const SweepCell& cell, double started, const std::string& error) {
  RunRecord run;
  run.uuid = random_uuid();
  run.cell_key = cell.key();
  run.stage = cell.stage;
  run.status = error.empty() ? "completed" : "failed";
  run.started = started;
  run.ended = seconds_since_epoch();
  run.exit_code = error.empty() ? 0 : kRunFailed;
  run.error = error.substr(0, error.find('\n'));
  run.config = cell.config();
  run.seed = run.config.value("seed", int64_t{0});
  return run;
}

MachineRecord this_machine() {
  utsname system = {};
  uname(&system);
  MachineRecord machine;
  machine.cpu = cpuinfo("model name");
  if (machine.cpu.empty()) machine.cpu = system.machine;
  machine.os = os_name(system) + ", Linux " + system.release;
  machine.memory_bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  machine.machine_class =
      fmt::format("{}, {} cores, {}", machine.cpu, std::thread::hardware_concurrency(), vector_class());
  return machine;
}

BuildRecord this_build() {
  const BuildInfo& info = build_info();
  return {.git_commit = info.git_commit,
          .dirty = info.dirty,
          .compiler = info.compiler,
          .flags = info.flags,
          .torch_version = info.torch_version};
}

}  // namespace moebench
