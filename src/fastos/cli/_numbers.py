"""Numbers on a command line, each with a message that says what was expected."""

import argparse
import math
import re


def positive(text: str) -> int:
    """1, 2, 3 …"""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def natural(text: str) -> int:
    """0, 1, 2 …"""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return int(text)


def seconds(text: str) -> float:
    """A finite time, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def take_as_values(parser: argparse.ArgumentParser) -> None:
    """Lets what begins like a negative number be a value (`--size -10k`, and `--timeout -1` for a message that says
    what is wrong). argparse knows whole negative numbers only, and no such value where there is an option like -0; it
    has no public way to say so."""
    parser._negative_number_matcher = re.compile(r"-[1-9.]\S*$")
    parser._has_negative_number_optionals.clear()
