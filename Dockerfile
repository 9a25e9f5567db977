# The images of charseq, one target each:
#   pipeline  the preparation: Beam's worker, its launcher, and a Dataflow Flex Template
#   trainer   training and evaluation: TensorFlow without Beam (for GPUs: ACCELERATOR=cuda)
#   all       both, for a run on one machine
#   server    charseq serve: TensorFlow and the HTTP server, for the models of a registry
#
#   docker build --target pipeline --tag charseq-pipeline .

# Three images of one Python. A tag can move: name them by digest where that matters.
ARG BASE=python:3.11-slim-bookworm
ARG BEAM_SDK=apache/beam_python3.11_sdk:2.77.0
ARG FLEX_LAUNCHER=gcr.io/dataflow-templates-base/python311-template-launcher-base:latest
ARG ACCELERATOR=cpu
# Dataflow's launcher and workers write where only root may: RUN_AS=0 for images that are for it.
ARG RUN_AS=10001
# What the labels say.
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=

FROM ${BEAM_SDK} AS beam-sdk
FROM ${FLEX_LAUNCHER} AS flex-launcher

# Everything is installed from a lock, with the hashes in it, and what has no wheel is built with the
# setuptools of a lock. No layer has a compiler. A pip.conf that names another index is a secret of
# the build: --secret id=pip.conf,src=FILE.
# Beam's boot leaves the options of a job in its working directory, so that is one where any user
# may write, also where the rest is mounted read-only.
FROM ${BASE} AS base
RUN useradd --uid 10001 --home-dir /tmp --no-create-home charseq && python -m venv /opt/charseq
WORKDIR /tmp
ENV HOME=/tmp PATH=/opt/charseq/bin:$PATH PYTHONDONTWRITEBYTECODE=1
COPY requirements/build.lock /opt/charseq/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --no-deps --require-hashes \
        --requirement /opt/charseq/build.lock

FROM base AS project
COPY LICENSE README.md pyproject.toml setup.py /source/
COPY charseq /source/charseq
COPY pipeline /source/pipeline
COPY trainer /source/trainer
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel /source

FROM base AS pipeline
COPY requirements/pipeline.lock /opt/charseq/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --no-deps --require-hashes \
        --use-pep517 --no-build-isolation --requirement /opt/charseq/pipeline.lock \
    && pip check
COPY --from=beam-sdk /opt/apache/beam/boot /opt/apache/beam/LICENSE /opt/apache/beam/NOTICE \
    /opt/apache/beam/
COPY --from=flex-launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/
COPY deploy/dataflow/launch.py /opt/charseq/
# In layers of its own: a change of the project moves kilobytes, not the libraries.
COPY --from=project /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl && rm -r /tmp/wheel
# Workers install nothing when they start.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/charseq/launch.py
ARG RUN_AS
USER ${RUN_AS}
ENTRYPOINT ["/opt/apache/beam/boot"]
HEALTHCHECK --interval=1m --timeout=10s CMD ["python", "-m", "pipeline", "--help"]
ARG VERSION REVISION SOURCE
LABEL org.opencontainers.image.title=charseq-pipeline \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.source=${SOURCE} \
      org.opencontainers.image.licenses=Apache-2.0

FROM base AS trainer
ARG ACCELERATOR
COPY requirements/trainer-${ACCELERATOR}.lock /opt/charseq/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --no-deps --require-hashes \
        --use-pep517 --no-build-isolation \
        --requirement /opt/charseq/trainer-${ACCELERATOR}.lock \
    && pip check
COPY --from=project /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl && rm -r /tmp/wheel
ARG RUN_AS
USER ${RUN_AS}
ENTRYPOINT ["python", "-m", "trainer"]
CMD ["--help"]
HEALTHCHECK --interval=1m --timeout=10s CMD ["python", "-m", "trainer", "--help"]
ARG VERSION REVISION SOURCE
LABEL org.opencontainers.image.title=charseq-trainer \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.source=${SOURCE} \
      org.opencontainers.image.licenses=Apache-2.0

# What both need is pinned alike, so only Keras and TensorBoard are added.
FROM pipeline AS all
USER 0
COPY requirements/trainer-cpu.lock /opt/charseq/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --no-deps --require-hashes \
        --use-pep517 --no-build-isolation --requirement /opt/charseq/trainer-cpu.lock \
    && pip check
ARG RUN_AS
USER ${RUN_AS}
ENTRYPOINT []
CMD ["python", "-m", "pipeline", "--help"]
HEALTHCHECK --interval=1m --timeout=10s \
    CMD python -m pipeline --help && python -m trainer --help
LABEL org.opencontainers.image.title=charseq-all

FROM base AS server
COPY requirements/server.lock /opt/charseq/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --no-deps --require-hashes \
        --use-pep517 --no-build-isolation --requirement /opt/charseq/server.lock \
    && pip check
COPY --from=project /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl && rm -r /tmp/wheel
ARG RUN_AS
USER ${RUN_AS}
EXPOSE 8501
ENTRYPOINT ["python", "-m", "charseq.server"]
CMD ["--help"]
# A container's proxy is not for its own loopback interface.
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["python", "-c", \
    "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8501/healthz', timeout=5)"]
ARG VERSION REVISION SOURCE
LABEL org.opencontainers.image.title=charseq-server \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.source=${SOURCE} \
      org.opencontainers.image.licenses=Apache-2.0
