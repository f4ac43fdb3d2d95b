#include "tests/kernels/cuda_on_cpu.h"

#include <cstdio>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace moebench::kernels::cuda_on_cpu {
namespace {

constexpr size_t kStackBytes = 256 << 10;
constexpr int kWarp = 32, kSharedAlignment = 128;

[[noreturn]] void fail(const char* message) {
  std::fprintf(stderr, "cuda_on_cpu: %s\n", message);
  std::abort();
}

struct Copy {
  void* target;
  const void* source;
  size_t bytes;
};

// Threads that meet: a block's, or a warp's.
struct Meeting {
  int size = 0, arrived = 0;
  uint64_t generation = 0;
};

// Where to go on. Jumps, for swapcontext asks the kernel each time.
using Place = jmp_buf;

// One after another it runs a thread of each block.
struct Fiber {
  std::unique_ptr<char, void (*)(char*)> stack{nullptr, [](char* stack) { munmap(stack, kStackBytes); }};
  Place place;
  bool is_done = true;
  const Meeting* waits_for = nullptr;  // until its generation is not that any more
  uint64_t waits_in = 0;
  std::vector<Copy> copies;    // on their way
  std::vector<size_t> groups;  // sizes of those that are committed
};

struct Warp {
  Meeting meeting;
  uint64_t given[2][kWarp];  // in this exchange and in the last: a lane may still read that
  void* operands[kWarp];
};

class Block {
 public:
  Block(int threads, size_t shared_bytes, const std::function<void()>& kernel);
  void run();
  // The last to come does something for all, then all go on.
  template <class Function>
  void meet(Meeting& meeting, const Function& when_all_came);

  Meeting meeting;
  std::vector<Warp> warps;
  char* shared;
  Fiber& current();
  int thread() const { return current_; }
  Warp& warp() { return warps[current_ / kWarp]; }

 private:
  [[noreturn]] static void live();
  bool run_warp(int warp, int& num_done);
  void resume(int thread);
  void yield();

  std::unique_ptr<char[]> shared_memory_;
  const std::function<void()>& kernel_;
  Place scheduler_;
  int threads_, current_ = 0;
#ifdef __SANITIZE_ADDRESS__
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_stack_bytes_ = 0;
#endif
};

thread_local Block* block = nullptr;
thread_local std::deque<Fiber> fibers;

Fiber& Block::current() { return fibers[current_]; }

__attribute__((noinline)) void jump(Place& from, Place& to) {
  if (_setjmp(from) == 0) _longjmp(to, 1);
}

char* new_stack() {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("no memory for a thread's stack");
  return static_cast<char*>(memory);
}

__attribute__((noinline)) void begin(Place& from, char* stack, void (*function)()) {
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = kStackBytes;
  context.uc_link = nullptr;
  makecontext(&context, function, 0);
  if (_setjmp(from) == 0) setcontext(&context);
}

Block::Block(int threads, size_t shared_bytes, const std::function<void()>& kernel)
    : warps((threads + kWarp - 1) / kWarp),
      shared_memory_(new char[shared_bytes + kSharedAlignment]),
      kernel_(kernel),
      threads_(threads) {
  const auto address = reinterpret_cast<uintptr_t>(shared_memory_.get());
  shared = shared_memory_.get() + (kSharedAlignment - address % kSharedAlignment) % kSharedAlignment;
  std::memset(shared, 0xff, shared_bytes);
  meeting.size = threads;
  while (static_cast<int>(fibers.size()) < threads) fibers.emplace_back();
  for (int thread = 0; thread < threads; ++thread) {
    ++warps[thread / kWarp].meeting.size;
    fibers[thread].is_done = false;
  }
}

void Block::live() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &block->scheduler_stack_, &block->scheduler_stack_bytes_);
#endif
  for (;;) {
    block->kernel_();
    if (!block->current().copies.empty()) fail("a thread ended with copies on their way");
    block->current().groups.clear();
    block->current().is_done = true;
    block->yield();
  }
}

void Block::resume(int thread) {
  current_ = thread;
  threadIdx = dim3(static_cast<unsigned>(thread), 0, 0);
  Fiber& fiber = fibers[thread];
  const bool is_new = fiber.stack == nullptr;
  if (is_new) fiber.stack.reset(new_stack());
#ifdef __SANITIZE_ADDRESS__
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, fiber.stack.get(), kStackBytes);
#endif
  is_new ? begin(scheduler_, fiber.stack.get(), live) : jump(scheduler_, fiber.place);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void Block::yield() {
  Fiber& fiber = current();
#ifdef __SANITIZE_ADDRESS__
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, scheduler_stack_, scheduler_stack_bytes_);
#endif
  jump(fiber.place, scheduler_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, &block->scheduler_stack_, &block->scheduler_stack_bytes_);
#endif
}

// A warp runs ahead of the others as far as it can: whoever forgets a barrier shall not be saved by a fair order.
void Block::run() {
  const int num_warps = static_cast<int>(warps.size());
  for (int num_done = 0; num_done < threads_;) {
    bool has_progress = false;
    for (int i = 0; i < num_warps; ++i) {
      while (run_warp(is_reversed ? num_warps - 1 - i : i, num_done)) has_progress = true;
    }
    if (!has_progress) fail("some threads wait where others never come");
  }
}

// Every thread of the warp that can run, once; whether there was one.
bool Block::run_warp(int warp, int& num_done) {
  bool has_progress = false;
  const int first = warp * kWarp, count = std::min(threads_ - first, kWarp);
  for (int i = 0; i < count; ++i) {
    const int thread = first + (is_reversed ? count - 1 - i : i);
    Fiber& fiber = fibers[thread];
    if (fiber.is_done || (fiber.waits_for && fiber.waits_for->generation == fiber.waits_in)) continue;
    fiber.waits_for = nullptr;
    resume(thread);
    num_done += fiber.is_done;
    has_progress = true;
  }
  return has_progress;
}

template <class Function>
void Block::meet(Meeting& meeting, const Function& when_all_came) {
  if (++meeting.arrived < meeting.size) {
    current().waits_for = &meeting;
    current().waits_in = meeting.generation;
    return yield();
  }
  when_all_came();
  meeting.arrived = 0;
  ++meeting.generation;
}

}  // namespace

void run_grid(dim3 grid, int threads, size_t shared_bytes, const std::function<void()>& kernel) {
  gridDim = grid;
  const unsigned num_blocks = grid.x * grid.y;
  for (unsigned i = 0; i < num_blocks; ++i) {
    const unsigned index = is_reversed ? num_blocks - 1 - i : i;
    blockIdx = dim3(index % grid.x, index / grid.x, 0);
    Block running(threads, shared_bytes, kernel);
    block = &running;
    running.run();
    block = nullptr;
  }
}

void* shared_memory() { return block->shared; }

void wait_for_block() {
  block->meet(block->meeting, [] {});
}

const uint64_t* exchange(uint64_t mine) {
  Warp& warp = block->warp();
  uint64_t* given = warp.given[warp.meeting.generation % 2];
  given[block->thread() % kWarp] = mine;
  block->meet(warp.meeting, [] {});
  return given;
}

void run_for_warp(void* mine, const std::function<void(void* const* all)>& work) {
  Warp& warp = block->warp();
  warp.operands[block->thread() % kWarp] = mine;
  block->meet(warp.meeting, [&] { work(warp.operands); });
}

void copy_async(void* target, const void* source, size_t bytes) {
  block->current().copies.push_back({target, source, bytes});
}

void commit_copies() {
  Fiber& fiber = block->current();
  fiber.groups.push_back(fiber.copies.size() - std::accumulate(fiber.groups.begin(), fiber.groups.end(), size_t{0}));
}

void wait_for_copies(int groups) {
  Fiber& fiber = block->current();
  while (static_cast<int>(fiber.groups.size()) > groups) {
    const auto end = fiber.copies.begin() + static_cast<std::ptrdiff_t>(fiber.groups.front());
    for (auto copy = fiber.copies.begin(); copy != end; ++copy) std::memcpy(copy->target, copy->source, copy->bytes);
    fiber.copies.erase(fiber.copies.begin(), end);
    fiber.groups.erase(fiber.groups.begin());
  }
}

}  // namespace moebench::kernels::cuda_on_cpu
