# Our HF engine: transformers behind src/backends/hf_server. Build it from the root of the repository:
#   docker build -t vlm-runner-hf -f docker/hf.Dockerfile .
#   docker build -t vlm-runner-hf -f docker/hf.Dockerfile --build-arg BASE=python:3.12-slim --build-arg TORCH=torch==2.13.0 .
# BASE is any image with python3 and pip on its PATH; the default has torch for CUDA in it.
ARG BASE=pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime
FROM ${BASE}
LABEL vlm-runner.backend=hf
# tesseract reads pages for LayoutLMv3 alone. Triton compiles kernels for the GPU with a C compiler when they are first used.
ARG PACKAGES="tesseract-ocr tesseract-ocr-rus gcc libc6-dev"
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -y --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
# A base without torch needs it named: --build-arg TORCH=torch==2.13.0
ARG TORCH=""
ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
COPY envs/hf.txt /opt/vlm-runner/
# The base's torch, whatever build it is, is not to be replaced: its own version is a constraint.
RUN if [ -n "$TORCH" ]; then python3 -m pip install $TORCH; fi \
    && python3 -c "import torch; print('torch==' + torch.__version__)" > /opt/vlm-runner/torch.txt \
    && python3 -m pip install -r /opt/vlm-runner/hf.txt -c /opt/vlm-runner/torch.txt
# For use by hand; the runner lays its own code over it, so that image and runner can't disagree.
COPY src/backends /opt/vlm-runner/backends
ENV PYTHONPATH=/opt/vlm-runner PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 --no-log-init runner || id -u 1000
USER 1000
# The key that requests must bear is read from RUNNER_ENGINE_KEY.
ENTRYPOINT ["python3", "-m", "backends.hf_server"]
CMD ["--help"]
