"""Runs one of CPython's test modules, with a drop-in in place of the standard module: conformance.py's child process.

Arguments: the drop-in's name ("" for the standard module), the test module, a file for the results (one JSON pair a
line, written as each test ends, so that a run that breaks tells how far it came), and the ids of single tests, if not
all.
"""

import sys


def put_in_place(name: str) -> None:
    """From here on `import name` gives fastos's module, to the tests and to all that they import."""
    import importlib

    replacement = importlib.import_module(f"fastos.{name}")
    sys.modules[name] = replacement


def main() -> None:
    drop_in, module, results, *wanted = sys.argv[1:]
    # The tests look at sys.argv and, to start children, at nothing of ours.
    del sys.argv[1:]
    if drop_in:
        put_in_place(drop_in)
    run(drop_in, module, results, wanted)


def run(drop_in: str, module: str, results: str, wanted: list[str]) -> None:
    import json
    import unittest

    file = open(results, "w")  # noqa: SIM115  (open until the process ends)

    class Recorder(unittest.TestResult):
        """Writes each test's outcome; a test some of whose sub-tests fail has failed."""

        def __init__(self) -> None:
            super().__init__()
            self.current = "pass"

        def startTest(self, test: unittest.TestCase) -> None:
            super().startTest(test)
            self.current = "pass"

        def stopTest(self, test: unittest.TestCase) -> None:
            super().stopTest(test)
            self.write(test.id(), self.current)

        def write(self, name: str, outcome: str) -> None:
            file.write(json.dumps([name, outcome]) + "\n")
            file.flush()

        def addError(self, test: unittest.TestCase, error: object) -> None:
            super().addError(test, error)  # type: ignore[arg-type]
            self.current = "error"
            if not isinstance(test, unittest.TestCase):
                self.write(test.id(), "error")  # setUpClass or setUpModule

        def addFailure(self, test: unittest.TestCase, error: object) -> None:
            super().addFailure(test, error)  # type: ignore[arg-type]
            self.current = "fail"

        def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, error: object) -> None:
            super().addSubTest(test, subtest, error)  # type: ignore[arg-type]
            if error is not None:
                self.current = "fail"

        def addSkip(self, test: unittest.TestCase, reason: str) -> None:
            super().addSkip(test, reason)
            self.current = "skip"
            if not isinstance(test, unittest.TestCase):
                self.write(test.id(), "skip")

        def addExpectedFailure(self, test: unittest.TestCase, error: object) -> None:
            super().addExpectedFailure(test, error)  # type: ignore[arg-type]
            self.current = "skip"

    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(wanted) if wanted else loader.loadTestsFromName(f"test.{module}")
    replaced = sys.modules.get(drop_in)
    for name in filter(None, [drop_in]):
        if getattr(sys.modules[f"test.{module}"], name, replaced) is not replaced:
            raise SystemExit(f"{module} does not use the drop-in {name}")
    recorder = Recorder()
    suite.run(recorder)
    for kind in (recorder.failures, recorder.errors):
        for test, trace in kind:
            print(f"--- {test.id()}\n{trace}")


main()
