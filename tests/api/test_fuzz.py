"""No request makes a 5xx or an answer that is not described; `tests.api.fuzz` asks for longer."""

import os

import pytest

from tests.api import fuzzing
from tests.support.sandbox import SandboxClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
EXAMPLES = int(os.environ.get("SUREHOLD_FUZZ_EXAMPLES", "8"))
SEED = int(os.environ.get("SUREHOLD_FUZZ_SEED", "1"))


def test_every_answer_is_described(
    transactional_db: None, sandbox: SandboxClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR", logger="django.request")  # refusals are what is asked for
    world, failures = fuzzing.make_world(), []
    for operation in fuzzing.operations(fuzzing.load()):
        try:
            fuzzing.storm(world, operation, examples=EXAMPLES, number=SEED)
        except Exception as error:  # every operation is asked, whatever one answers
            failures.append(f"{operation.label}\n{error}")
    print(f"answers by status: {dict(sorted(world.answered.items()))}")
    assert not failures, "\n\n".join(failures)
    assert {"200", "201", "400", "404", "409", "422"} <= set(world.answered)
