"""Which graphs a voice speaks with: fp32, or int8 where it has shown that it loses nothing by them."""

from __future__ import annotations

from timbre.inference.device import Device

AUTO, FP32, INT8 = "auto", "fp32", "int8"
PROFILES = (AUTO, FP32, INT8)


def chosen_profile(wanted: str, int8_passed: bool, device: Device) -> str:
    """Profile for `wanted`, one of PROFILES: "auto" takes int8 on a processor for a voice whose int8 gates passed.

    int8_passed: Manifest.int8_passed, False for a voice that no stage 4 has judged.
    """
    if wanted != AUTO:
        return wanted
    return INT8 if int8_passed and not device.name.startswith("cuda") else FP32
