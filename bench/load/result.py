"""What a scenario hands to the report: tables of values by candidate and round, goals, curves. Plain data, kept as JSON."""

from __future__ import annotations

import dataclasses
import statistics


@dataclasses.dataclass
class Column:
    figure: str  # as the rounds call it
    head: str
    digits: int = 1
    scale: float = 1.0


@dataclasses.dataclass
class Table:
    title: str
    columns: list[Column]
    rows: dict[str, dict[str, list[float]]]  # candidate -> figure -> a value for each round

    def median(self, candidate: str, figure: str) -> float:
        return statistics.median(self.rows[candidate][figure])


@dataclasses.dataclass
class Goal:
    text: str
    value: float
    limit: float
    at_most: bool = True
    unit: str = ""  # "": a ratio

    @property
    def met(self) -> bool:
        # As it is shown: a ratio of 0.7049 is not within 0.70.
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclasses.dataclass
class Plot:
    name: str
    title: str
    x: str
    y: str
    series: dict[str, list[tuple[float, float]]]


@dataclasses.dataclass
class Result:
    name: str
    title: str
    text: str
    tables: list[Table] = dataclasses.field(default_factory=list)
    goals: list[Goal] = dataclasses.field(default_factory=list)
    plots: list[Plot] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    commands: list[str] = dataclasses.field(default_factory=list)
    config: str = ""
    run: dict = dataclasses.field(default_factory=dict)  # when, what, with which rounds

    def ratio(self, text: str, table: Table, figure: str, of: str, to: str, limit: float, at_most: bool = True):
        self.goals.append(Goal(text, table.median(of, figure) / table.median(to, figure), limit, at_most))


def load(data: dict) -> Result:
    result = Result(**data)
    result.tables = [Table(t["title"], [Column(**c) for c in t["columns"]], t["rows"]) for t in result.tables]
    result.goals = [Goal(**g) for g in result.goals]
    result.plots = [Plot(**p) for p in result.plots]
    return result
