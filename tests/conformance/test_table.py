"""The table itself. It is in docs/conformance.md and written by a run of the whole group; these tests keep it honest."""

import collections
import xml.etree.ElementTree as ElementTree

import table


def test_table_every_rule_has_tests():
    for number in table.RULES:
        tests = [test for file in table.files() if file.rule == number for test in file.tests]
        assert tests, f"rule {number} has no test"
        assert all(test.startswith(f"test_rule_{number:02}_") for test in tests), tests


def test_table_every_test_has_a_name_of_its_own():
    tests = [test for file in table.files() for test in file.tests]
    assert [test for test, count in collections.Counter(tests).items() if count > 1] == []


def test_table_names_exactly_the_tests_that_exist():
    tests = [test for file in table.files() for test in file.tests]
    assert table.named_in(table.TABLE.read_text(encoding="utf-8")) == tests, "./dev test conformance writes it anew"


def test_table_says_what_failed_and_what_did_not_run(tmp_path):
    suite = ElementTree.Element("testsuite")
    for name, child in (("test_a[tcp]", None), ("test_a[tls]", "failure"), ("test_b", None), ("test_c", "skipped")):
        case = ElementTree.SubElement(suite, "testcase", name=name)
        if child:
            ElementTree.SubElement(case, child)
    report = tmp_path / "report.xml"
    ElementTree.ElementTree(suite).write(report)
    counts = table.results(report)
    assert [table.state(counts[name]) for name in ("test_a", "test_b", "test_c", "test_d")] == [
        "**red**: 1 of 2 fail", "green", "1 of 1 skipped", "not run"]
    text = table.render([table.File(table.HERE / "test_rule_01_x.py", "Rule 1: x", ["test_a", "test_b"])], counts)
    assert table.named_in(text) == ["test_a", "test_b"] and "**red**: 1 of 3 fail" in text
