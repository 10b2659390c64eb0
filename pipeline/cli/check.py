"""`siemlite check`: is everything in place for events to be found and people to be told?"""

from typing import Annotated

import typer


def check(json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False) -> int:
    """Check settings, Elasticsearch, templates, detections, spools and channels; exit 1 if something is wrong."""
    from dataclasses import asdict

    from pipeline.checks import run_checks
    from pipeline.cli.output import show, show_json
    from pipeline.cli.start import application

    wrong = 0
    for finding in run_checks(application()):
        wrong += finding.verdict == "wrong"
        if json:
            show_json(asdict(finding))
        else:
            show(f"{finding.verdict:5}  {finding.subject}: {finding.text}")
    return 1 if wrong else 0
