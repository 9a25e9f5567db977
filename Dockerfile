# The images of charseq, one target each:
#   pipeline  the preparation: Beam's worker, its launcher, and a Dataflow Flex Template
#   trainer   training and evaluation: TensorFlow without Beam (for GPUs: ACCELERATOR=cuda)
#   all       both, for a run on one machine
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

# Everything is installed from a lock; what has no wheel is built with the setuptools of a lock. There
# is no compiler here either. A pip.conf that names another index is a secret of the build.
FROM ${BASE} AS environment
RUN python -m venv /opt/charseq
ENV PATH=/opt/charseq/bin:$PATH
COPY requirements/build.lock /requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --require-hashes --requirement /requirements/build.lock

FROM environment AS project
COPY LICENSE README.md pyproject.toml setup.py /source/
COPY pipeline /source/pipeline
COPY trainer /source/trainer
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel /source

FROM environment AS pipeline-environment
COPY requirements/pipeline.lock /requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --no-build-isolation --use-pep517 --require-hashes \
        --requirement /requirements/pipeline.lock \
    && pip check

FROM environment AS trainer-environment
ARG ACCELERATOR
COPY requirements/trainer-${ACCELERATOR}.lock /requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --no-build-isolation --use-pep517 --require-hashes \
        --requirement /requirements/trainer-${ACCELERATOR}.lock \
    && pip check

# /work is for the container alone, and any user may write there: Beam's boot leaves the options of a
# job in its working directory. Data is best mounted elsewhere.
FROM ${BASE} AS base
RUN useradd --uid 10001 --home-dir /work --no-create-home charseq \
    && install --directory --mode 1777 /work
WORKDIR /work
ENV HOME=/work PATH=/opt/charseq/bin:$PATH PYTHONDONTWRITEBYTECODE=1

FROM base AS pipeline
COPY --from=beam-sdk /opt/apache/beam/boot /opt/apache/beam/LICENSE /opt/apache/beam/NOTICE \
    /opt/apache/beam/
COPY --from=flex-launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/
COPY --from=pipeline-environment /opt/charseq /opt/charseq
COPY deploy/dataflow/launch.py /opt/charseq/
# A layer of its own: a change of the project moves kilobytes, not the libraries.
RUN --mount=type=bind,from=project,source=/wheel,target=/wheel \
    pip install --no-cache-dir --no-deps --no-index /wheel/*.whl
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
COPY --from=trainer-environment /opt/charseq /opt/charseq
RUN --mount=type=bind,from=project,source=/wheel,target=/wheel \
    pip install --no-cache-dir --no-deps --no-index /wheel/*.whl
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
COPY requirements/trainer-cpu.lock /tmp/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --no-build-isolation --use-pep517 --require-hashes \
        --requirement /tmp/trainer-cpu.lock \
    && pip check
ARG RUN_AS
USER ${RUN_AS}
ENTRYPOINT []
CMD ["python", "-m", "pipeline", "--help"]
HEALTHCHECK --interval=1m --timeout=10s \
    CMD python -m pipeline --help && python -m trainer --help
LABEL org.opencontainers.image.title=charseq-all
