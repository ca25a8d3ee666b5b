#!/bin/sh
# Whether CUDA's compiler from PyPI, where vLLM 0.33.0 and SGLang 0.5.23 pull it in (humming-kernels[cu13] asks for any
# nvidia-cuda-nvcc, torch 2.14 pins nvidia-cuda-runtime 13.0.96), can build the kernels that such engines compile when
# they start. The builder is apache-tvm-ffi 0.1.11, which both pin; SGLang and FlashInfer 0.7.2 link with the same flags.
#
# Guess, written down before it was run: CUDA_HOME=site-packages/nvidia/cu13 is enough for a kernel to build (so our issue
# said; the builders' flags, read later, made us doubt it), and the newest nvcc, 13.5, works beside headers of CUDA 13.0.
# Seen: neither. (1) The link fails with `cannot find -lcudart`: the builder looks in $CUDA_HOME/lib64 for libcudart.so, and
# the packages have lib/libcudart.so.13 alone. With links of these names it builds. (2) What includes CCCL, as FlashInfer's and
# some of SGLang's kernels do, is not compiled: `CUDA compiler and CUDA toolkit headers are incompatible`. That is what pip
# installs where nothing pins nvcc.
# Needs a C++ compiler and no GPU. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet apache-tvm-ffi==0.1.11 ninja==1.13.2 nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 \
    nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
cat >"$folder/build.py" <<'PYTHON'
import sys

import tvm_ffi.cpp

SOURCE = "__global__ void kernel(float *x) { x[0] = 1; }  void run() { kernel<<<1, 1>>>(nullptr); }"
try:
    tvm_ffi.cpp.build_inline("kernel", cuda_sources=SOURCE, functions=["run"], build_directory=sys.argv[1])
except RuntimeError as error:
    lines = str(error).splitlines()
    print("not built:", next((line for line in lines if "cannot find" in line or "error" in line), lines[-1:]))
else:
    print("built")
PYTHON
home=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib") + "/nvidia/cu13")')
export CUDA_HOME="$home" PATH="$folder/venv/bin:$PATH" TVM_FFI_CUDA_ARCH_LIST=9.0
as_it_is=$("$python" "$folder/build.py" "$folder/1")
echo "nvcc 13.0.88, CUDA_HOME=site-packages/nvidia/cu13: $as_it_is"
ln -s lib "$home/lib64"
ln -s libcudart.so.13 "$home/lib/libcudart.so"
linked=$("$python" "$folder/build.py" "$folder/2")
echo "with lib64 and libcudart.so: $linked"
"$python" -m pip install --quiet nvidia-cuda-nvcc==13.5.37 nvidia-nvvm==13.5.37 nvidia-cuda-crt==13.5.37
printf '#include <cuda/std/type_traits>\n__global__ void kernel(float *x) { x[0] = 1; }\n' >"$folder/cccl.cu"
newest=$("$home/bin/nvcc" -arch=sm_90 -c "$folder/cccl.cu" -o "$folder/cccl.o" 2>&1 | grep -o 'CUDA compiler and .* incompatible' | head -1)
echo "nvcc 13.5.37 beside nvidia-cuda-runtime 13.0.96: ${newest:-compiled}"
case "$as_it_is/$linked/$newest" in
*"cannot find -lcudart"*/built/*incompatible) echo "as described above" ;;
*) echo "this has changed" >&2; exit 1 ;;
esac
