# Two stages: the second has only what runs, without pip. Every optional engine is in it (docs/scaling.md): the settings
# decide which is used; and what reads files of SPSS, Stata, SAS and R. For the same image from each build of a commit, the
# base is named by its digest and SOURCE_DATE_EPOCH is the commit's time: docs/deploy.md has the command.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# Heeded by the compiler of .pyc files as well, which then say the hash of their source instead of its time.
ARG SOURCE_DATE_EPOCH
RUN python -m venv /opt/openml-web
COPY requirements-engines.txt requirements-tables.txt /tmp/
RUN /opt/openml-web/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        --requirement /tmp/requirements-engines.txt --requirement /tmp/requirements-tables.txt \
 && /opt/openml-web/bin/pip uninstall --yes pip

FROM ${BASE}
# useradd writes the day into /etc/shadow.
ARG SOURCE_DATE_EPOCH
RUN useradd --system --no-log-init --uid 10001 --create-home --home-dir /srv/openml-web openml \
 && mkdir /var/lib/openml-web && chown openml /var/lib/openml-web
COPY --from=build /opt/openml-web /opt/openml-web
WORKDIR /srv/openml-web
COPY app ./app
COPY alembic ./alembic
COPY alembic.ini pyproject.toml LICENSE ./
RUN printf '#!/bin/sh\nexec /opt/openml-web/bin/python -m app.cli "$@"\n' > /usr/local/bin/openml-web && chmod 755 /usr/local/bin/openml-web

USER openml
ENV ENVIRONMENT=production HOST=0.0.0.0 DATA_DIR=/var/lib/openml-web PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /var/lib/openml-web
EXPOSE 5000
# Whatever runs in it: `serve` on its port, or `worker`. Starting Python takes some seconds where others compute.
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s CMD ["openml-web", "health", "--live"]
ENTRYPOINT ["openml-web"]
CMD ["serve", "--workers", "2"]
