# SGLang's own server as an engine: the official image, with a user that is not root. Build it from the root of the repository:
#   docker build -t vlm-runner-sglang -f docker/sglang.Dockerfile .
# For a base without SGLang, REQUIREMENTS is a file of envs/, which pins it: --build-arg REQUIREMENTS=sglang.txt
ARG BASE=lmsysorg/sglang:v0.5.23
FROM ${BASE}
LABEL vlm-runner.backend=sglang
USER root
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -y --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
ARG REQUIREMENTS=""
ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
COPY envs/*.txt /opt/vlm-runner/envs/
RUN if [ -n "$REQUIREMENTS" ]; then python3 -m pip install -r "/opt/vlm-runner/envs/$REQUIREMENTS"; fi \
    && python3 -c "from importlib.metadata import version; print('sglang', version('sglang'))"
# Starts its server with the key of RUNNER_ENGINE_KEY; the runner lays its own code over it.
COPY src/backends /opt/vlm-runner/backends
ENV PYTHONPATH=/opt/vlm-runner PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --create-home --uid 1000 --no-log-init runner || id -u 1000
USER 1000
ENTRYPOINT ["python3", "-m", "backends.sglang_server"]
CMD ["--help"]
