// A tool that NVTX loads (NVTX_INJECTION64_PATH): writes every range of the process to the file $NVTX_LISTENER_FILE, a
// line "+domain name payload" when it begins and "-" when it ends.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <nvtx3/nvToolsExt.h>

namespace {

std::mutex mutex;

void write_line(const char* domain, const char* name, long long payload, bool begins) {
  const std::lock_guard lock(mutex);
  std::FILE* file = std::fopen(std::getenv("NVTX_LISTENER_FILE"), "a");
  if (file == nullptr) return;
  begins ? std::fprintf(file, "+%s %s %lld\n", domain, name, payload) : std::fprintf(file, "-\n");
  std::fclose(file);
}

// A handle is the name.
nvtxDomainHandle_t create_domain(const char* name) { return reinterpret_cast<nvtxDomainHandle_t>(strdup(name)); }
nvtxStringHandle_t register_string(nvtxDomainHandle_t, const char* string) {
  return reinterpret_cast<nvtxStringHandle_t>(strdup(string));
}
int push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* event) {
  const bool is_registered = event->messageType == NVTX_MESSAGE_TYPE_REGISTERED;
  write_line(reinterpret_cast<const char*>(domain),
             is_registered ? reinterpret_cast<const char*>(event->message.registered) : event->message.ascii,
             event->payload.llValue, true);
  return 0;
}
int pop(nvtxDomainHandle_t) {
  write_line("", "", 0, false);
  return 0;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(get_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned int size = 0;
  if (callbacks == nullptr || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size)) return 0;
  if (size <= NVTX_CBID_CORE2_DomainRangePop) return 0;
  *table[NVTX_CBID_CORE2_DomainCreateA] = reinterpret_cast<NvtxFunctionPointer>(create_domain);
  *table[NVTX_CBID_CORE2_DomainRegisterStringA] = reinterpret_cast<NvtxFunctionPointer>(register_string);
  *table[NVTX_CBID_CORE2_DomainRangePushEx] = reinterpret_cast<NvtxFunctionPointer>(push);
  *table[NVTX_CBID_CORE2_DomainRangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}
