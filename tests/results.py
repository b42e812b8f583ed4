"""What a run found, as its result.json has it."""

from beliefmatch.runs.schema.result import Result

RESULT = Result(
    rounds=1,
    seconds=8.0,
    student_sha256="ab",
    peak_memory=None,
    student_parameters=1,
    teacher_parameters=1,
    teacher_accuracy=0.99,
    student_accuracy=0.97474,
    agreement=0.98123,
)
