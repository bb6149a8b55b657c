"""Declare every hyper-parameter once, with TOML in and out.

A field whose default is `AUTO` is left to the rules of `training/auto.py`, which read the training
log; a value that is given is kept. What the model is stands here. How a run is made (device,
progress) does not. Each encoder checks by itself whether its settings go together.
"""

from dataclasses import dataclass, field
from typing import Any

from gru4rec.errors import ConfigError
from gru4rec.settings import Settings, bounds, setting
from gru4rec.untrusted import shown

AUTO: Any = None
"""The value of a setting that the rules of `auto` decide from the log."""

_WIDEST = 16_384  # a GRU of as many units has 6 GB of weights


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(Settings):
    """What turns the clicks so far into the session vector."""

    name: str = "gru"
    """Name in the table `ENCODERS` of `model/encoders`."""
    hidden_size: int = setting(AUTO, low=1, high=_WIDEST)
    """Units of each layer: the length of the session vector."""
    num_layers: int = setting(1, low=1, high=64)
    """Recurrent layers, stacked."""
    layer_dropout: float = setting(0.0, low=0.0, below=1.0)
    """Drop probability between stacked layers, and in the blocks of `transformer_gru` and `sasrec`;
    without effect on one layer."""
    state_dropout: float = setting(0.0, low=0.0, below=1.0)
    """Drop probability of the components of each layer's output, before it is scored *and* carried
    to the next click, as in the GRU4Rec authors' code; needs `training.steps` = 1."""
    max_length: int = setting(50, low=1, high=10_000)
    """Clicks that an encoder reads if it does not stream: the last so many of a session, in
    training and serving alike."""
    conv_width: int = setting(3, low=1, high=1000)
    """Clicks that a convolution of `conv_gru` spans."""
    attention_heads: int = setting(4, low=1, high=1024)
    """Heads of `transformer_gru` and `sasrec`; `hidden_size` is a multiple of them."""
    attention_blocks: int = setting(1, low=1, high=64)
    """Blocks of attention and feed-forward of `transformer_gru` and `sasrec`."""
    reset_gate: str = setting("after", choices="after before")
    """Where the reset gate is applied: `after` the recurrent product (torch, cuDNN, the authors'
    PyTorch code) or `before` it, on the hidden state (Chung et al. 2014, the GRU4Rec paper)."""
    repeats: bool = AUTO
    """Whether a session's own items are scored anew by a head that is fitted on sessions held out
    (`serving/repeat_head.py`)."""
    inputs: tuple[str, ...] = ()
    """What is read of a click besides its item: `gap` (time since the click before it), `hour` (of
    the day) and the names of columns (an event type, a category)."""
    user_column: str = ""
    """Column of users: each session begins where the earlier ones of its user ended, whose last
    clicks are read before it (`sessions/earlier_sessions.py`)."""
    user_clicks: int = setting(10, low=1, high=1000)
    """How many of them at most; without effect without `user_column`."""
    merge: str = setting("add", choices="add concat")
    """How side inputs join the item embedding: `add` adds their embeddings to it, `concat` sets
    them beside it; without effect if there are none."""
    input_size: int = setting(16, low=1, high=_WIDEST)
    """Length of a side input's embedding that is set beside the item's; without effect on `add`."""
    embedding: str = setting("shared", choices="shared separate onehot")
    """`shared`: one tensor embeds clicked items and scores candidates; `separate`: two tensors;
    `onehot`: no input embedding, each item has its own input weights of the first layer."""
    embedding_size: int = setting(AUTO, low=1, high=_WIDEST)
    """Length of an input embedding in the `separate` mode; left out, as `hidden_size`."""

    def __post_init__(self) -> None:
        self.check("encoder.")
        if self.embedding == "onehot" and self.inputs:
            raise ConfigError(
                f"encoder.inputs {shown(list(self.inputs))} need input embeddings, got "
                "encoder.embedding 'onehot'; use 'separate' or 'shared'"
            )
        if self.embedding != "separate" and self.embedding_size not in (AUTO, self.hidden_size):
            raise ConfigError(
                f"encoder.embedding_size {self.embedding_size} needs encoder.embedding 'separate', "
                f"got {self.embedding!r}; leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Settings):
    """How the model learns and what its scores are."""

    lanes: int = setting(AUTO, low=1, high=100_000)
    """Sessions that run side by side (the batch size of the GRU4Rec papers)."""
    steps: int = setting(AUTO, low=1, high=10_000)
    """Clicks of each lane learned from in one update; 1 is the paper."""
    negatives: int = setting(AUTO, low=0, high=10_000_000)
    """Items drawn ∝ support^sample_alpha for each update, on top of the window's own targets. A
    catalog of at most negatives + lanes · steps items is scored as a whole instead."""
    sample_alpha: float = setting(AUTO, low=0.0)
    """Exponent of the support in the sampling distribution: 0 is uniform, 1 follows support."""
    logq: float = setting(1.0, low=0.0)
    """Strength of the correction of sampled scores by the log of their inclusion probability;
    without effect on other losses than cross_entropy."""
    logq_form: str = setting("inclusion", choices="inclusion support")
    """`inclusion`: that correction. `support`: the one of the GRU4Rec authors' code, by the log of
    the support, times `sample_alpha` for drawn items, each as often as it was drawn."""
    loss: str = AUTO
    """Name in the table `LOSSES` of `training/losses.py`."""
    precision: str = setting(AUTO, choices="float32 bf16")
    """Type of the scores in training and of what is multiplied with them; all else is float32. With
    bf16 a GPU rounds other products of a training too: recurrent ones to bf16, the rest to TF32."""
    bpreg: float = setting(1.0, low=0.0)
    """Weight of bpr_max's penalty on the scores of negatives; without effect on other losses."""
    elu: float = setting(0.0, low=0.0)
    """α of the ELU that scores pass before bpr_max, 0 for none; without effect on other losses."""
    scoring: str = setting(AUTO, choices="dot cosine")
    """`dot`: session vector · output embedding + bias (the paper); `cosine`: both divided by their
    length, times `scale`, no bias (arXiv 1909.04276, 2204.11067)."""
    scale: float = setting(AUTO, low=0.0)
    """Factor of the cosine; without effect on dot products."""
    learning_rate: float = setting(AUTO, low=0.0)
    """Rate of the row-sparse Adagrad of item tables, and of Adagrad for dense parameters."""
    momentum: float = setting(AUTO, low=0.0, below=1.0)
    """Momentum of Adagrad."""
    dense_optimizer: str = setting("adagrad", choices="adagrad adamw")
    """What updates the encoder's parameters."""
    dense_learning_rate: float = setting(1e-3, low=0.0)
    """Rate of AdamW; without effect on Adagrad, whose rate is `learning_rate`."""
    schedule: str = setting(AUTO, choices="constant linear")
    """`constant`: the rate stays; `linear`: it falls to its share `final_rate` over the epochs."""
    final_rate: float = setting(0.5, low=0.0)
    """Share of the rate that the linear schedule ends with; without effect on a constant rate."""
    warmup: float = setting(0.0, low=0.0)
    """Epochs, or share of one, over which the rate rises from 0, whatever the schedule."""
    epochs: float = setting(AUTO, low=0.001, high=1_000_000)
    """Passes over the log; a part of one at the end takes only the newest sessions."""
    patience: int = setting(1, low=1)
    """With validation sessions: epochs without a better measure after which training stops."""
    stop_on: str = setting("mrr", choices="mrr recall")
    """The measure at 20 that says which epoch is best."""
    teachers: int = setting(0, low=0, high=16)
    """Models, by other seeds, that are trained first and teach this one what they find likely."""
    neighbours: int = setting(AUTO, low=0)
    """Clicks after which the sessions of the log that resemble theirs say what comes next, for the
    model to learn (`recommenders/neighbour_teacher.py`); with `teachers` these learn it."""
    teaching: float = setting(0.5, low=0.0, high=1.0)
    """Weight of what teachers or neighbours say beside the click that came; without effect on
    clicks after which nothing is said."""
    smoothing: float = setting(AUTO, low=0.0, high=10.0)
    """How much the item vectors lean, once learned, on those of items clicked beside them
    (`training/smoothing.py`). Left out, it is fitted with the repeat head; without one it is 0."""
    outcome: str = ""
    """Column that says of each session what became of it (bought or not, a class), for a head on
    the session vector to learn (`model/outcome_head.py`); empty for none."""
    outcome_weight: float = setting(0.3, low=0.0, high=1.0)
    """Weight of the outcome's loss; that of the next clicks has the rest, so with 1 the outcome is
    learned alone. Without effect if there is no outcome."""
    own_row_dropout: float = setting(0.1, low=0.0, below=1.0)
    """Share of the clicks whose target is asked for once more, among candidates half of which go
    without their own rows, so that attributes learn to place an item by themselves; without effect
    on a training without attributes of items."""
    embedding_dropout: float = setting(AUTO, low=0.0, below=1.0)
    """Drop probability of the components of input embeddings."""
    hidden_dropout: float = setting(AUTO, low=0.0, below=1.0)
    """Drop probability of the components of the session vector before scoring."""
    event_column: str = ""
    """Column of the type of each click (view, cart, buy), if types say what targets weigh."""
    event_weights: dict[str, float] = field(
        default_factory=dict, hash=False, metadata=bounds(low=0.0, high=1e6)
    )
    """What a target of a type weighs in the loss, by its type; 1 where nothing is said. Only ratios
    count. Targets of weight 0 are read, and neither learned nor measured."""
    target_events: tuple[str, ...] = ()
    """Types that are targets, if not all: the others weigh 0."""
    rewards: dict[str, float] = field(
        default_factory=dict, hash=False, metadata=bounds(low=0.0, high=1e6)
    )
    """What a click of a type is worth, by its type; 0 where nothing is said. If any are given, a
    second head learns Q, the rewards that follow an item (`training/q_learning.py`)."""
    discount: float = setting(0.5, low=0.0, below=1.0)
    """How much a reward counts a click later; without effect without `rewards`."""
    q_weight: float = setting(1.0, low=0.0)
    """Weight of the loss of Q beside that of the next click; without effect without `rewards`."""
    q_advantage: bool = False
    """Whether clicks count 1 + advantage in the loss: by how much Q of the target is above that of
    other items (SA2C); without effect without `rewards`."""
    q_scores: bool = False
    """Whether the score of an item is that of the next click + Q; without effect without `rewards`.
    """

    def __post_init__(self) -> None:
        self.check("training.")
        for name in ("event_weights", "target_events", "rewards"):
            if (given := getattr(self, name)) and not self.event_column:
                raise ConfigError(
                    f"training.{name} {shown(given)} need event_col, the column of the types of "
                    "events; give it, or leave them out",
                    mend_with=["event_col"],
                )
        if self.rewards and not any(self.rewards.values()):
            raise ConfigError(
                f"training.rewards {shown(self.rewards)} are all 0, so there is nothing to learn; "
                "give one, or leave them out"
            )
        if self.rewards and self.neighbours:
            raise ConfigError(
                "training.rewards are of the clicks that came, and training.neighbours put others "
                "in their place; leave one of them out"
            )
        if self.rewards and self.steps == 1:
            raise ConfigError(
                "training.rewards need training.steps above 1: what follows a click is looked for "
                "in its window"
            )
        if self.teachers and self.loss not in (AUTO, "cross_entropy"):
            raise ConfigError(
                f"training.teachers {self.teachers} needs training.loss 'cross_entropy', got "
                f"{shown(self.loss)}; leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """All settings of a run. `Config()` leaves to `auto` what depends on the log."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """What turns the clicks so far into the session vector."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the model learns and what its scores are."""
    seed: int = setting(0, low=0, below=2**63)
    """Seed of every random draw: initial weights, negatives, dropout."""

    @property
    def columns(self) -> list[str]:
        """What is read of each click besides its session, its item and its time, by name."""
        columns = self.encoder.user_column, self.training.event_column, self.training.outcome
        further = [name for name in columns if name]
        return list(dict.fromkeys([*self.encoder.inputs, *further]))

    def __post_init__(self) -> None:
        self.check()
        if self.training.outcome and self.training.outcome in self.encoder.inputs:
            raise ConfigError(
                f"the outcome {shown(self.training.outcome)} is what is to be foretold, and cannot "
                "be among the inputs; leave it out there",
                mend_with=["inputs"],
            )
        if self.encoder.state_dropout > 0 and self.training.steps != 1:
            raise ConfigError(
                f"encoder.state_dropout {self.encoder.state_dropout} needs training.steps 1, got "
                f"{self.training.steps}; use training.hidden_dropout with longer windows"
            )

    @property
    def learns_outcome_alone(self) -> bool:
        """Whether no next click is learned."""
        return bool(self.training.outcome) and self.training.outcome_weight == 1
