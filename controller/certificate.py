"""What a certificate says: how often answers change, with what confidence, and on what terms."""

from typing import Literal

from pydantic import Field

from saccade.controller.preset_types import Frozen, Sha256, Short, Text

ASSUMES = (
    "the inputs it is used on and those it was certified on are exchangeable: of the same kind, "
    "drawn alike, answered by the same backbone with the same generation settings"
)
"""What every certificate rests on."""


class NullRate(Frozen):
    """How much answers change without any policy: the bare model in another batch order.

    Attributes
    ----------
    loss : float
        Mean over the samples, in [0, 1].
    n : int
        Samples.
    """

    loss: float = Field(ge=0, le=1)
    n: int = Field(ge=1, le=10**9)


class Checked(Frozen):
    """One setting that was tested, in the order of the tests.

    Attributes
    ----------
    policy : str
    pruner : str or None
    loss : float
        Mean over the clusters of the certify set, in [0, 1].
    p_value : float
        Of the hypothesis that the true loss is above the target.
    passed : bool
    """

    policy: Text
    pruner: Text | None = None
    loss: float = Field(ge=0, le=1)
    p_value: float = Field(ge=0, le=1)
    passed: bool


class Certificate(Frozen):
    """A promise about changed answers, or that none can be given.

    Attributes
    ----------
    outcome : "kept" or "abstained"
        Abstained: no setting passed, and the preset does nothing.
    loss : str
        What is counted: "changed" (the answer differs), or a bounded loss such as "anls".
    max_change : float
        The target (alpha): largest mean loss.
    confidence : float
        One minus delta: how sure the promise is, over draws of the certify set.
    n : int
        Independent samples: clusters, where several questions share a picture.
    questions : int
        Questions that were answered; more than `n` where they share pictures.
    changed : float
        Sum of the losses of the setting that is promised, or of the last that was tested.
    p_value : float
        Of that setting.
    null : NullRate
    tested : tuple of Checked
        From the safest on; the first that fails is the last.
    needed : int or None
        Where it abstained: samples that the safest setting would need to pass at the loss that was
        seen; None if no number is enough.
    task, backbone : str
        Name of the task, and hash of the backbone.
    date : str
        Year, month and day.
    command : str
        What made it.
    assumes : str
    """

    outcome: Literal["kept", "abstained"]
    loss: Short = "changed"
    max_change: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)
    n: int = Field(ge=1, le=10**9)
    questions: int = Field(ge=1, le=10**9)
    changed: float = Field(ge=0, le=1e9)
    p_value: float = Field(ge=0, le=1)
    null: NullRate
    tested: tuple[Checked, ...] = Field(default=(), max_length=1000)
    needed: int | None = Field(default=None, ge=1, le=10**15)
    task: Short
    backbone: Sha256
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    command: Text = ""
    assumes: Text = ASSUMES

    def sentence(self) -> str:
        """What it promises, in one sentence."""
        more = f"at least {self.needed} samples" if self.needed else "another setting"
        if self.loss == "changed":
            target = f"at most {self.max_change:.3g} of the answers differ from the unpruned ones"
            seen = f"{self.changed:.4g} of {self.n} samples did"
        else:
            target = f"the mean loss ({self.loss}) of the answers is at most {self.max_change:.3g}"
            seen = f"{self.changed / self.n:.3g} over {self.n} samples"
        if self.outcome == "kept":
            return (
                f"with confidence {self.confidence:.3g} {target} ({seen}, p = {self.p_value:.2g}; "
                f"task {self.task}, {self.date})"
            )
        return (
            f"abstained: it is not shown with confidence {self.confidence:.3g} that {target} "
            f"({seen}); that would need {more}"
        )
