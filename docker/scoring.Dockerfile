# The runner with what metrics of their own models and dictionaries need (spelling, perplexity, bleurt, hf_evaluate), for
# stage=score on a machine without a GPU. Build it from the root of the repository:
#   docker build -t vlm-runner-scoring -f docker/scoring.Dockerfile .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" vlm-runner-scoring stage=score answers=multirun/DATE/TIME
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -y --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
# PyPI's torch is built for CUDA, several GB larger; an empty TORCH_INDEX takes what pip finds.
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python3 -m pip install $TORCH ${TORCH_INDEX:+--index-url $TORCH_INDEX}
COPY . /opt/vlm-runner
RUN python3 -m pip install "/opt/vlm-runner[scoring,postgres]" && rm -rf /opt/vlm-runner
RUN useradd --create-home --uid 1000 --no-log-init runner || id -u 1000
RUN mkdir -p /cache/huggingface /work && chmod -R 1777 /cache /work
ENV HF_HOME=/cache/huggingface HOME=/tmp PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
ENTRYPOINT ["python3", "-m", "runner"]
CMD ["--help"]
