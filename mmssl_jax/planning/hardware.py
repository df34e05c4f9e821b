"""Kinds of devices, by their makers' figures."""

from typing import NamedTuple


class Device(NamedTuple):
    """One device of a kind, and how it is joined with others.

    Attributes:
      memory: bytes.
      float32: operations a second in float32, at most.
      tensorfloat32: the same with factors rounded to TF32, dense.
      bandwidth: bytes a second that its memory gives.
      link: bytes a second that it can receive from devices of the same machine.
      network: the same from other machines, its share of the machine's network.
      together: devices in a machine.
      usable: the share of the memory that jax takes, by default 3/4 of a GPU's
        (XLA_PYTHON_CLIENT_MEM_FRACTION changes it).
    """

    memory: float
    float32: float
    tensorfloat32: float
    bandwidth: float
    link: float
    network: float
    together: int = 8
    usable: float = 0.75


# Memory, dense rates, bandwidth and half of NVLink's two-way figure are of NVIDIA's data sheets
# "H100 Tensor Core GPU", "H200 Tensor Core GPU", "A100 Tensor Core GPU" (SXM) and "L4 Tensor Core
# GPU" (PCIe 4.0 x16), where rates with sparsity are halved. Networks are those of the DGX H100,
# DGX H200 (8 x 400 Gb/s) and DGX A100 (8 x 200 Gb/s); Google's g2-standard-96 has 8 L4 and 100
# Gb/s. The CPU is AMD's EPYC 9654: 96 cores of 2.4 GHz and 32 operations a cycle, 12 channels of
# DDR5-4800 with 64 GB each, and 200 Gb/s.
DEVICES = {
    "h100": Device(80e9, 67e12, 494.5e12, 3350e9, 450e9, 50e9),
    "h200": Device(141e9, 67e12, 494.5e12, 4800e9, 450e9, 50e9),
    "a100-40": Device(40e9, 19.5e12, 156e12, 1555e9, 300e9, 25e9),
    "a100-80": Device(80e9, 19.5e12, 156e12, 2039e9, 300e9, 25e9),
    "l4": Device(24e9, 30.3e12, 60e12, 300e9, 32e9, 1.5625e9),
    "cpu": Device(768e9, 7.37e12, 7.37e12, 460.8e9, 25e9, 25e9, together=1, usable=1.0),
}
