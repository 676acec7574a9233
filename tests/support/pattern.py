"""Bytes that everybody knows: what the test pod sends for /big and /stream."""


def pattern(size: int) -> bytes:
    block = bytes(range(256)) * 256
    return (block * (size // len(block) + 1))[:size]
