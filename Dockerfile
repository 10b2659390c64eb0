FROM python:3.12-slim

RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/siemlite siemlite \
    && install --directory --owner=siemlite --group=siemlite --mode=0700 /var/lib/siemlite

WORKDIR /opt/siemlite
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
COPY detections detections
COPY index_templates index_templates
RUN pip install --no-cache-dir .

ENV PYTHONUNBUFFERED=1 SIEMLITE_HOME=/var/lib/siemlite
USER siemlite
WORKDIR /var/lib/siemlite
VOLUME /var/lib/siemlite
ENTRYPOINT ["siemlite"]
CMD ["--help"]
