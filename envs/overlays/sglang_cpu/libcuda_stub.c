/* Stands in for the driver's libcuda.so.1, which SGLang's wheels are linked against: every call answers
 * CUDA_ERROR_NO_DEVICE (100). conf/env/sglang_cpu.yaml compiles it. */
int cuInit(unsigned flags) { return 100; }
int cuDriverGetVersion(int *version) { *version = 0; return 100; }
int cuDeviceGetCount(int *count) { *count = 0; return 100; }
int cuPointerGetAttribute(void *data, int attribute, unsigned long long pointer) { return 100; }
