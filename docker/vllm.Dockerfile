# vLLM's own server as an engine: the official image, with a user that is not root. Build it from the root of the repository:
#   docker build -t vlm-runner-vllm -f docker/vllm.Dockerfile .
#   docker build -t vlm-runner-vllm -f docker/vllm.Dockerfile --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 \
#       --build-arg PACKAGES="python3-pip" --build-arg REQUIREMENTS=vllm.txt .
# The second is for a base without vLLM: REQUIREMENTS is a file of envs/, which pins it.
ARG BASE=vllm/vllm-openai:v0.33.0
FROM ${BASE}
LABEL vlm-runner.backend=vllm
USER root
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -y --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
ARG REQUIREMENTS=""
ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
COPY envs/*.txt /opt/vlm-runner/envs/
RUN if [ -n "$REQUIREMENTS" ]; then python3 -m pip install -r "/opt/vlm-runner/envs/$REQUIREMENTS"; fi \
    && python3 -c "from importlib.metadata import version; print('vllm', version('vllm'))"
ENV PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 --no-log-init runner || id -u 1000
USER 1000
# The key that requests must bear is read from VLLM_API_KEY.
ENTRYPOINT ["python3", "-m", "vllm.entrypoints.cli.main", "serve"]
CMD ["--help"]
