"""Behavioral measures, one per file: arrays in, arrays out."""

from jaxcmr.analyses.spc import recalled_positions, serial_position_curve

__all__ = ["recalled_positions", "serial_position_curve"]
