# The runner: composes, checks, asks, scores, tracks, reports. Build it from the root of the repository:
#   docker build -t vlm-runner -f docker/runner.Dockerfile .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" vlm-runner plan=dry
# It holds no torch: engines come from env=uv, which builds them within the container (keep /cache), or are endpoints
# (backend=openai). It needs neither Docker's socket nor root.
ARG BASE=python:3.12-slim
FROM ${BASE}
# tesseract reads pages for prompt.ocr; fonts are for charts and made pictures. Triton and SGLang compile kernels for the GPU
# when they are first used: that takes a C and a C++ compiler, and Python's headers, which a base python:* has. With Debian's
# own Python as the base add python3-dev.
ARG PACKAGES="tesseract-ocr tesseract-ocr-rus fonts-dejavu-core gcc g++ libc6-dev"
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -y --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
COPY . /opt/vlm-runner
ARG EXTRAS="postgres"
RUN python3 -m pip install "/opt/vlm-runner[$EXTRAS]" && rm -rf /opt/vlm-runner
# Environments and the hub's cache are worth keeping: mount a volume here. Open to every user, for --user.
RUN useradd --create-home --uid 1000 --no-log-init runner || id -u 1000
RUN mkdir -p /cache/envs /cache/uv /cache/huggingface /work && chmod -R 1777 /cache /work
ENV RUNNER_ENVS=/cache/envs UV_CACHE_DIR=/cache/uv HF_HOME=/cache/huggingface HOME=/tmp PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
ENTRYPOINT ["python3", "-m", "runner"]
CMD ["--help"]
