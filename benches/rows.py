#!/usr/bin/env python3
"""The figures of docs/PERFORMANCE.md that need no other server beside ours.

  benches/rows.py --jpeg plain.jpg [--large large.jpg] [--jp2 page.jp2] [--tiff pyramid.tif]

Starts the release build on the first processor, once for each row, over a scratch folder of links to the
masters that are named, on a loopback port that is free. Processor time is the process's own, so that a busy
machine spoils it least; memory is resident and told above what an idle process has.
"""
import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/loggia")
    parser.add_argument("--jpeg", help="a sequential JPEG of some 80 million pixels")
    parser.add_argument("--large", help="one of 500 million and more")
    parser.add_argument("--jp2", help="a JPEG 2000 of some 80 million pixels")
    parser.add_argument("--tiff", help="a TIFF in JPEG tiles of 512 pixels, at least 4096 wide and high")
    return parser.parse_args()


class Gateway:
    """A fresh process over masters with an empty cache."""

    def __init__(self, binary, masters, settings=""):
        self.folder = tempfile.mkdtemp(prefix="rows-", dir=os.path.dirname(os.path.abspath(masters[0][1])))
        images = os.path.join(self.folder, "images")
        os.mkdir(images)
        for name, file in masters:
            os.link(file, os.path.join(images, name))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        text = f"""{settings}
[server]
listen = "127.0.0.1:{port}"
[log]
level = "warn"
[sources.bench]
adapter = "folder"
path = "images"
"""
        if "[cache]" not in settings:
            text += '[cache]\ndir = "cache"\n'
        with open(os.path.join(self.folder, "loggia.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        command = ["taskset", "-c", "0", os.path.abspath(binary), "serve"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.client = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        while self.ask("/ready")[0] != 200:
            time.sleep(0.05)
        self.idle = self.resident()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def ask(self, path):
        self.client.request("GET", path)
        answer = self.client.getresponse()
        return answer.status, answer.read()

    def get(self, path):
        """Milliseconds until the whole picture is there."""
        begun = time.perf_counter()
        status, body = self.ask(f"/iiif/3/image/bench/{path}")
        if status != 200:
            raise SystemExit(f"{path}: {status} {body[:300]}")
        return (time.perf_counter() - begun) * 1000

    def cpu(self):
        """Milliseconds so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / TICK

    def resident(self, field="VmRSS"):
        """MiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))

    def peak(self):
        return self.resident("VmHWM") - self.idle

    def metric(self, name):
        lines = self.ask("/metrics")[1].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def pyramids(self, count):
        """Waits until so many were made."""
        while self.metric('loggia_pyramids_total{outcome="made"}') < count:
            if self.metric('loggia_pyramids_total{outcome="failed"}'):
                raise SystemExit("no pyramid could be made")
            time.sleep(0.05)


def row(what, figure):
    print(f"| {what} | {figure} |", flush=True)


def jpeg(binary, file):
    with Gateway(binary, [("a.jpg", file)]) as gateway:
        gateway.get("a.jpg/info.json")
        before = gateway.cpu()
        gateway.get("a.jpg/full/313,/0/default.jpg")
        first = gateway.cpu()
        gateway.pyramids(1)
        row("first picture of the plain JPEG, processor time", f"{first - before:.0f} ms")
        row("its pyramid: processor time; memory above idle", f"{gateway.cpu() - first:.0f} ms; {gateway.peak():.0f} MiB")
        size = json.loads(gateway.ask("/iiif/3/image/bench/a.jpg/info.json")[1])
        tiles = [(x, y) for x in range(0, size["width"] - 512, 512) for y in range(0, size["height"] - 512, 512)]
        random.Random(1).shuffle(tiles)
        begun = gateway.cpu()
        times = [gateway.get(f"a.jpg/{x},{y},512,512/512,512/0/default.jpg") for x, y in tiles]
        each = (gateway.cpu() - begun) / len(tiles)
        row(f"{len(tiles)} later tiles: middle, slowest; processor time each",
            f"{statistics.median(times):.2f} ms, {max(times):.1f} ms; {each:.2f} ms")
    names = [f"{n}.jpg" for n in range(12)]
    with Gateway(binary, [(name, file) for name in names]) as gateway:
        for name in names:
            gateway.get(f"{name}/full/313,/0/default.jpg")
        gateway.pyramids(len(names))
        for what, picture in [
            ("first thumbnail `!400,400` of an image with a pyramid", "full/!400,400"),
            ("the size that follows it in info.json", "full/625,"),
            ("600 pixels off the grid at 512", "700,900,600,600/512,"),
        ]:
            before = gateway.cpu()
            for name in names:
                gateway.get(f"{name}/{picture}/0/default.jpg")
            row(f"{what}, processor time", f"{(gateway.cpu() - before) / len(names):.1f} ms")


def large(binary, file):
    with Gateway(binary, [("a.jpg", file)], "[limits]\nmax_pixels = 4000000000\n") as gateway:
        begun = time.perf_counter()
        gateway.get("a.jpg/0,0,512,512/512,/0/default.jpg")
        gateway.pyramids(1)
        took = time.perf_counter() - begun
        row("pyramid of the large JPEG: processor time; wall; memory above idle",
            f"{gateway.cpu() / 1000:.1f} s; {took:.1f} s; {gateway.peak():.0f} MiB")


def jp2(binary, file):
    with Gateway(binary, [("a.jp2", file)], '[limits]\nmemory = "4GiB"\n') as gateway:
        gateway.get("a.jp2/info.json")
        before = gateway.cpu()
        gateway.get("a.jp2/full/1250,/0/default.jpg")
        first = gateway.cpu()
        row("overview of the JPEG 2000 at 1250 pixels, processor time", f"{first - before:.0f} ms")
        gateway.pyramids(1)
        row("its pyramid: processor time; memory above idle",
            f"{(gateway.cpu() - first) / 1000:.1f} s; {gateway.peak():.0f} MiB")


def soak(binary, file):
    """10 000 different tiles, of 200 images, in an order that no cache likes; a tenth of them have to be drawn. Three times:
    what goes on growing after the first is a leak."""
    images, each, rounds = 200, 50, 3
    settings = '[cache]\ndir = "cache"\nmemory = "64MB"\n'
    with Gateway(binary, [(f"{n}.tif", file) for n in range(images)], settings) as gateway:
        wanted = [(n, tile) for n in range(images) for tile in range(each)]
        random.Random(1).shuffle(wanted)
        seen = []
        for at, (n, tile) in enumerate(wanted * rounds):
            x, y = tile % 7 * 512, tile // 7 * 512
            size = "300,300" if at % 10 == 0 else "512,512"
            gateway.get(f"{n}.tif/{x},{y},512,512/{size}/0/default.jpg")
            if at % 2500 == 2499:
                seen.append(gateway.resident())
        row(f"{len(wanted)} different tiles of {images} images, {rounds} times, 64 MB for answers: resident after each 2500",
            " ".join(f"{mib:.0f}" for mib in seen) + " MiB")


def main():
    given = options()
    print("| what | figure |\n|---|---|")
    for file, measure in [(given.jpeg, jpeg), (given.large, large), (given.jp2, jp2), (given.tiff, soak)]:
        if file:
            measure(given.binary, file)


if __name__ == "__main__":
    main()
