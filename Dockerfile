# Three images from one file:
#
#   docker build --target serve -t timbre:serve .          speaks; no torch, no GPU
#   docker build --target serve-gpu -t timbre:serve-gpu .  the same with ONNX Runtime for CUDA
#   docker build --target train -t timbre:train .          the five stages, for CI jobs
#
# Without a network: fill a folder with `make wheelhouse` and add --build-context wheelhouse=FOLDER.
# Another package index: --secret id=pip,src=pip.conf. Another base image: --build-arg PYTHON_IMAGE=...
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim
# CUDA 13 and cuDNN 9 are what ONNX Runtime 1.31 was built for.
ARG CUDA_IMAGE=docker.io/nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

FROM scratch AS wheelhouse

# ---- serve: packages and our own code are separate layers, so that a change of the code costs a small one

FROM ${PYTHON_IMAGE} AS serve-packages
WORKDIR /build
COPY docker docker
RUN --mount=type=bind,from=wheelhouse,target=/wheelhouse --mount=type=secret,id=pip,target=/etc/pip.conf \
    docker/install.sh packages serve

FROM serve-packages AS serve-code
COPY . .
RUN docker/install.sh code

FROM ${PYTHON_IMAGE} AS serve
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Timbre server" \
      org.opencontainers.image.description="Speaks with the voices of a Timbre registry over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=serve-packages /opt/timbre /opt/timbre
COPY --from=serve-code /opt/data/ /
COPY --from=serve-code /opt/code/ /
COPY --from=serve-code --chown=10001:10001 /var/cache/timbre /var/cache/timbre
# Everything that is written lies in one folder: exported bases, jieba's dictionary, packages while they are read.
ENV PATH=/opt/timbre/bin:$PATH \
    HOME=/var/cache/timbre \
    TMPDIR=/var/cache/timbre \
    XDG_CACHE_HOME=/var/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    ORT_DISABLE_TELEMETRY=1 \
    TIMBRE_REGISTRY=/registry \
    TIMBRE_LOG_FORMAT=json \
    TIMBRE_LOG_LEVEL=info \
    TIMBRE_SERVE_HOST=0.0.0.0 \
    TIMBRE_SERVE_COMMIT=${REVISION}
VOLUME /var/cache/timbre
WORKDIR /var/cache/timbre
USER 10001:10001
EXPOSE 9880
# Ready means: the registry was read and the first voice has spoken.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "timbre.serving.probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["timbre"]
CMD ["serve"]

# ---- serve-gpu: Ubuntu's Python beside the CUDA libraries that ONNX Runtime loads

FROM ${CUDA_IMAGE} AS cuda-python
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM cuda-python AS serve-gpu-packages
WORKDIR /build
COPY docker docker
RUN --mount=type=bind,from=wheelhouse,target=/wheelhouse --mount=type=secret,id=pip,target=/etc/pip.conf \
    docker/install.sh packages serve-gpu

FROM serve-gpu-packages AS serve-gpu-code
COPY . .
RUN docker/install.sh code

FROM cuda-python AS serve-gpu
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Timbre server (CUDA)" \
      org.opencontainers.image.description="Speaks with the voices of a Timbre registry over HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=serve-gpu-packages /opt/timbre /opt/timbre
COPY --from=serve-gpu-code /opt/data/ /
COPY --from=serve-gpu-code /opt/code/ /
COPY --from=serve-gpu-code --chown=10001:10001 /var/cache/timbre /var/cache/timbre
ENV PATH=/opt/timbre/bin:$PATH \
    HOME=/var/cache/timbre \
    TMPDIR=/var/cache/timbre \
    XDG_CACHE_HOME=/var/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    ORT_DISABLE_TELEMETRY=1 \
    TIMBRE_REGISTRY=/registry \
    TIMBRE_LOG_FORMAT=json \
    TIMBRE_LOG_LEVEL=info \
    TIMBRE_SERVE_HOST=0.0.0.0 \
    TIMBRE_SERVE_COMMIT=${REVISION}
VOLUME /var/cache/timbre
WORKDIR /var/cache/timbre
USER 10001:10001
EXPOSE 9880
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "timbre.serving.probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["timbre"]
CMD ["serve"]

# ---- train: all stages. torch brings its own CUDA libraries, so that the same image works with and without a GPU

FROM ${PYTHON_IMAGE} AS train-packages
WORKDIR /build
COPY docker docker
RUN --mount=type=bind,from=wheelhouse,target=/wheelhouse --mount=type=secret,id=pip,target=/etc/pip.conf \
    docker/install.sh packages train

FROM train-packages AS train-code
COPY . .
RUN docker/install.sh code bases

FROM ${PYTHON_IMAGE} AS train
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Timbre pipeline" \
      org.opencontainers.image.description="The five stages from a folder of recordings to a voice, for CI jobs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A runner needs Git: commits decide which version is in production.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git git-lfs ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=train-packages /opt/timbre /opt/timbre
COPY --from=train-code /opt/data/ /
COPY --from=train-code /opt/code/ /
ENV PATH=/opt/timbre/bin:$PATH \
    HOME=/home/timbre \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN mkdir -m 777 /home/timbre && mkdir -m 777 /work && git config --system --add safe.directory '*'
WORKDIR /work
USER 10001:10001
CMD ["timbre", "doctor"]
