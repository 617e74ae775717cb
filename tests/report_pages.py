"""A result made by hand, and the page of a report as its reader gets it."""

from html.parser import HTMLParser

import jaxcmr as jc

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a reader of a page gets: tables by id, as exact values and as shown, and tags."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.shown, self.attributes, self.tags = {}, {}, [], []
        self.texts, self.id, self.cell = [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs.items()]
        if tag == "table":
            self.id = attrs.get("id")
            self.tables[self.id], self.shown[self.id] = [], []
        if tag == "tr" and self.id:
            self.tables[self.id].append([])
            self.shown[self.id].append([])
        if tag in ("th", "td") and self.id:
            self.cell = attrs.get("data-value")
            self.shown[self.id][-1].append("")
            self.tables[self.id][-1].append(self.cell)

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            if self.id and self.cell is None:  # a heading
                self.tables[self.id][-1][-1] = self.shown[self.id][-1][-1]
            self.cell = None
        if tag == "table":
            self.id = None

    def handle_data(self, text):
        self.texts.append(text)
        if self.id and self.shown[self.id] and self.shown[self.id][-1]:
            self.shown[self.id][-1][-1] += text.strip()

    def columns(self, table):
        """Return the exact values of a table by column."""
        head, *rows = self.tables[table]
        return dict(zip(head, zip(*rows, strict=True), strict=True))


def make_result(**changes):
    """Return a result of three subjects with two runs each, made by hand."""
    runs = [
        [
            {
                "run": run,
                "loss": loss,
                "scale": {"learning_rate": "linear", "item_support": "log"},
                "estimates": {"learning_rate": rate, "item_support": 2.0},
                "at_bound": {"learning_rate": "upper"} if rate == 1.0 else {},
                "gradient": None,
                "polish": "gradient",
                "at_rest": True,
            }
            for run, loss in enumerate(losses)
        ]
        for losses, rate in (([7.1, 7.12], 0.25), ([8.3, 9.9], 1.0), ([6.0, 6.01], 0.123456789))
    ]
    result = jc.FitResult(
        model="cmr",
        loss="sequence_likelihood",
        loss_label="NLL",
        agree_within=0.05,
        fitness=[7.1, 8.3, 6.0],
        fits={
            "learning_rate": [0.25, 1.0, 0.123456789],
            "item_support": [2.0, 2.0, 2.0],
            "primacy_decay": [0.5, 0.5, 0.5],
            "subject": [3, 10, 7],
        },
        free={"learning_rate": [0.0, 1.0], "item_support": [0.0, 100.0]},
        fixed={"primacy_decay": 0.5},
        n_trials=[4, 5, 6],
        n_events=[20, 30, 40],
        converged=[True, False, True],
        runs=runs,
        hyperparameters={
            "strategy": "best1bin",
            "pop_size": 8,
            "num_steps": 50,
            "best_of": 2,
            "diff_w": 0.85,
            "cross_over_rate": 0.9,
            "scale": "log",
            "seed": 5,
        },
    )
    return jc.FitResult({**result, **changes})
