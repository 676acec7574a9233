"""Prints "PASSED FAILED SKIPPED" of a JUnit report, as ctest and pytest write it.

    junit_counts.py REPORT EXIT_CODE

A run that ended badly without a failed test in its report (collection error, crash) counts as one failure.
"""

import sys
import xml.etree.ElementTree as ElementTree


def counts(report: str, exit_code: int) -> tuple[int, int, int]:
    passed = failed = skipped = 0
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return 0, 1, 0
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("status") in {"notrun", "disabled"}:
            skipped += 1
        else:
            passed += 1
    if exit_code != 0 and failed == 0:
        failed = 1
    return passed, failed, skipped


if __name__ == "__main__":
    print(*counts(sys.argv[1], int(sys.argv[2])))
