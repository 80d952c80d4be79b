# Two images from one file:
#   docker build --target host -t ghost-edge .            converts; mount your recipes and data
#   docker build --target device -t ghost-edge:device .   benches; no TensorFlow inside
# device is for x86_64 and aarch64 (Zynq UltraScale+). On a Zynq-7000 (armv7l) numpy has no wheel and would be compiled:
# install Debian's python3-numpy and python3-click there, and the wheel beside them, without a container.
FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm AS device
COPY --from=wheel /wheels /wheels
RUN python -m pip install --no-cache-dir "$(ls /wheels/*.whl)[device]" && rm -r /wheels
RUN useradd --create-home ghost
USER ghost
WORKDIR /home/ghost
ENTRYPOINT ["ghost-edge"]
CMD ["--help"]

FROM python:3.11-slim-bookworm AS host
COPY requirements.lock /wheels/
RUN python -m pip install --no-cache-dir --require-hashes -r /wheels/requirements.lock
COPY --from=wheel /wheels /wheels
RUN python -m pip install --no-cache-dir "$(ls /wheels/*.whl)[host]" && rm -r /wheels
RUN useradd --create-home ghost
USER ghost
WORKDIR /home/ghost
ENTRYPOINT ["ghost-edge"]
CMD ["convert"]
