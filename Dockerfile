# make docker-build [TORCH=...] [TORCH_INDEX=...]
# TORCH_INDEX chooses the build of torch: the index of CPU builds makes a small image, that of a CUDA version
# an image for docker run --gpus all.
FROM python:3.11-slim

ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=

WORKDIR /app
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir -c constraints.txt .

COPY configs ./configs

# Runs and generated data go to the working directory; mount it to keep them.
WORKDIR /data
RUN ln -s /app/configs configs
ENTRYPOINT ["panollava"]
CMD ["run", "--config", "configs/default.yaml"]
