"""Prepare the input of a date, check and compare the dataset, train, evaluate, promote: every day.

Each date has its own dataset and run directories. A task that is started again skips what is
complete, resumes what is not, and fails if input or options have changed. With the Param
`add_to_earlier`, a date's rows are added to those of the dates before, and all are trained on.
Airflow's Variables set
the locations, the Params set the options; see README.md next to this file.
"""

from __future__ import annotations

import json
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.beam.operators.beam import BeamRunPythonPipelineOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, Variable, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from charseq_chain import accept, earlier_datasets
from charseq_quality import problems

PYTHON = "{{ var.value.get('charseq_python', 'python3') }}"
RUNNER = "{{ var.value.get('charseq_runner', 'FnApiRunner') }}"
HOME = "{{ var.value.get('charseq_home', '/data/charseq') }}"
# A run that was started by hand may have no logical date.
DATE = "{{ (dag_run.logical_date or dag_run.run_after) | ds_nodash }}"
INPUT = (
    "{{ var.value.get('charseq_input', '/data/charseq/raw/{date}/*.csv') | replace('{date}', "
    "(dag_run.logical_date or dag_run.run_after) | ds_nodash) }}"
)
DATASET, RUN, REGISTRY = f"{HOME}/datasets/{DATE}", f"{HOME}/runs/{DATE}", f"{HOME}/registry"

PARAMS = {
    "prepare": Param(
        {}, type="object", description='flags of python -m pipeline, such as {"max-length": 31}'
    ),
    "train": Param(
        [],
        type="array",
        items={"type": "string"},
        description="flags of python -m trainer, such as --epochs and 5, each a line",
    ),
    "promote": Param(
        [],
        type="array",
        items={"type": "string"},
        description="flags of python -m trainer.promote, such as --metric and macro_f1",
    ),
    "add_to_earlier": Param(
        False,
        type="boolean",
        description="add the rows of a date to the datasets of the dates before that passed the "
        "checks, and train on all of them",
    ),
    "min_train_rows": Param(1000, type="integer", minimum=1),
    "min_rows_of_label": Param(
        1, type="integer", minimum=0, description="in each of train, validation and test"
    ),
    "max_rejected_fraction": Param(
        0.01,
        type="number",
        minimum=0,
        maximum=1,
        description="of the rows read; python -m pipeline has a limit of its own",
    ),
    "max_truncated_fraction": Param(0.2, type="number", minimum=0, maximum=1),
    "fail_if": Param(
        "default",
        type="string",
        description="limits of changes from the dataset of the current model, as "
        "labels>0.1,unknown>0.01, beyond which nothing is trained",
    ),
}
# What to train and measure on, of the task `accept_dataset`.
DATA = "{% for path in ti.xcom_pull('accept_dataset') %}--data {{ path | quote }} {% endfor %}"
# There is nothing to compare with before the first model.
HAS_MODEL = 'if [ ! -e "$REGISTRY/models.config" ]; then echo "no model yet"; exit; fi; '


class PrepareOperator(BeamRunPythonPipelineOperator):
    """Beam's operator, with interpreter and additional options from Variables and Params."""

    template_fields = (*BeamRunPythonPipelineOperator.template_fields, "py_interpreter")

    def execute(self, context: Any) -> Any:
        beam_options = Variable.get("charseq_beam_options", default={}, deserialize_json=True)
        self.pipeline_options |= beam_options | context["params"]["prepare"]
        if context["params"]["add_to_earlier"]:
            # Beam's operator repeats the flag for each, which takes none where there is none.
            self.pipeline_options["base"] = earlier_datasets(self.pipeline_options["output"])
        return super().execute(context)


def module(
    task_id: str, command: str, timeout: timedelta, *, first: str = "", **settings: Any
) -> BashOperator:
    """Return a task that runs a module of the project, with `exec` so that SIGTERM reaches it.

    first: a command before it. settings: of the task.
    """
    return BashOperator(
        task_id=task_id,
        bash_command=f'{first}exec "$PYTHON" -m {command}',
        env={"PYTHON": PYTHON, "DATASET": DATASET, "RUN": RUN, "REGISTRY": REGISTRY},
        append_env=True,
        execution_timeout=timeout,
        **settings,
    )


@task(execution_timeout=timedelta(minutes=5))
def check_quality(dataset: str) -> dict[str, Any]:
    """Return the counts of a dataset, if it passes the limits.

    Raises:
        AirflowFailException: it does not; the task is not retried.
    """
    manifest = json.loads(Path(dataset, "dataset.json").read_text(encoding="utf-8"))
    limits = {
        name: value
        for name, value in get_current_context()["params"].items()
        if name.startswith(("min_", "max_"))
    }
    if found := problems(manifest, **limits):
        raise AirflowFailException(f"{dataset} is not trained on: {'; '.join(found)}")
    return {"fingerprint": manifest["fingerprint"], **manifest["counts"]}


@task(execution_timeout=timedelta(minutes=5))
def accept_dataset(dataset: str) -> list[str]:
    """Return the datasets to train on; later dates may add to this one, too."""
    if not get_current_context()["params"]["add_to_earlier"]:
        return [dataset]
    accept(dataset)
    return [*earlier_datasets(dataset), dataset]


with DAG(
    "charseq",
    description="Character sequences to a promoted model",
    doc_md=__doc__,
    # A date's run starts when the date is over, whatever create_cron_data_intervals says.
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    # The first start must not run a training for each day since start_date. To run past dates:
    # airflow backfill create.
    catchup=False,
    # All runs share the machine and the registry.
    max_active_runs=1,
    params=PARAMS,
    user_defined_filters={"quote": shlex.quote},
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
    },
    tags=["charseq"],
):
    prepare = PrepareOperator(
        task_id="prepare",
        py_interpreter=PYTHON,
        py_options=["-m"],
        py_file="pipeline",
        runner=RUNNER,
        pipeline_options={"input": INPUT, "output": DATASET},
        execution_timeout=timedelta(hours=6),
    )
    compare = module(
        "compare",
        'pipeline.compare "$REGISTRY" "$DATASET" --output "$DATASET.compare" '
        "--fail-if {{ params.fail_if | quote }}",
        timedelta(minutes=30),
        first=HAS_MODEL,
        retries=0,  # what has changed is the same at the next attempt
    )
    train = module(
        "train",
        f"trainer {DATA}--output \"$RUN\" {{{{ params.train | map('quote') | join(' ') }}}}",
        timedelta(days=1),
    )
    evaluate = module("evaluate", f'trainer.evaluate --model "$RUN" {DATA}', timedelta(hours=2))
    promote = module(
        "promote",
        f'trainer.promote --candidate "$RUN" --registry "$REGISTRY" {DATA}'
        "{{ params.promote | map('quote') | join(' ') }}",
        timedelta(hours=2),
    )
    accepted = accept_dataset(DATASET)
    prepare >> check_quality(DATASET) >> compare >> accepted >> train >> evaluate >> promote
