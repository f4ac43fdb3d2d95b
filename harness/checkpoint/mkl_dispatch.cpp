// libtorch's fp32 products and factorisations are MKL's. MKL chooses its code by asking this function of its own
// whether the processor is an Intel one, and leaves the AVX-512 units of others alone: on AMD's Zen 5 its products take
// twice the time they need. A program's own definition comes before a library's. What the processor can do is asked
// elsewhere, so that one without AVX-512 gets no code that it cannot run.
extern "C" __attribute__((visibility("default"))) int mkl_serv_intel_cpu_true() { return 1; }
