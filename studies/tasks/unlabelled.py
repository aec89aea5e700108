"""Files of questions whose right answers nobody knows: scored by agreement, not by a metric."""

from saccade.controller.errors import StudyError
from saccade.studies.tasks.metrics import metrics
from saccade.studies.tasks.question_files import QuestionFile
from saccade.studies.tasks.questions import FileQuestion, read_questions


class UnlabelledFile(QuestionFile):
    """As `QuestionFile`, but "answers" may be missing, and is not looked at."""

    def items(self) -> tuple[FileQuestion, ...]:
        """All questions, checked but for their answers.

        Raises
        ------
        StudyError
            Naming file and lines, what was given and what is allowed.
        """
        try:
            data = self.file.read_bytes()
        except OSError as error:
            where = f"benchmark {self.name!r}: {self.file}"
            raise StudyError(f"{where} cannot be read: {error}") from None
        return read_questions(data, self.file, metrics.make(self.metric), labels=False)
