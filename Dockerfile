# Two stages: the first has a compiler for the few packages without a wheel, the second only what runs. Every optional
# engine is in it (docs/scaling.md): the settings decide which is used; and what reads files of SPSS, Stata, SAS and R.
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/openml-web
COPY requirements-engines.txt requirements-tables.txt /tmp/
RUN /opt/openml-web/bin/pip install --no-cache-dir --require-hashes \
        --requirement /tmp/requirements-engines.txt --requirement /tmp/requirements-tables.txt \
 && /opt/openml-web/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /srv/openml-web openml \
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
