# One image for all roles: docker compose picks the role by its command.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -ldflags="-s -w" -o /out/anabranch ./cmd/anabranch

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates wget && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/anabranch --create-home anabranch
COPY --from=build /out/anabranch /usr/local/bin/anabranch
USER anabranch
VOLUME /var/lib/anabranch
EXPOSE 8080
ENTRYPOINT ["anabranch"]
