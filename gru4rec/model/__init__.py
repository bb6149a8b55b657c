"""Item tables and an encoder turn clicks into session vectors."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.model.device import find_device, has_fast_bf16
    from gru4rec.model.encoders import ENCODERS, check_encoder, streams
    from gru4rec.model.encoders.context import ContextEncoder
    from gru4rec.model.encoders.packing import Packing
    from gru4rec.model.encoders.protocol import (
        Encoder,
        State,
        dropout,
        dropout_bits,
        least_kept,
    )
    from gru4rec.model.encoding import session_vectors
    from gru4rec.model.foretelling import (
        outcome_logits,
        outcome_probabilities,
        running_outcomes,
    )
    from gru4rec.model.kernels import distrust_kernels, kernels_for, use_kernels
    from gru4rec.model.network import Model, unit
    from gru4rec.model.outcome_head import OutcomeHead
    from gru4rec.model.placement import Placement, fold, folded, item_tables, sum_of
    from gru4rec.model.pruning import check_sparsity, is_pruned, kept_entries
    from gru4rec.model.q_head import QHead
    from gru4rec.model.streaming import running_queries, state_size, states_after
    from gru4rec.model.weight_files import AS_TRAINED, file_layout, packed, unpacked

__all__ = [
    "AS_TRAINED",
    "ENCODERS",
    "ContextEncoder",
    "Encoder",
    "Model",
    "OutcomeHead",
    "Packing",
    "Placement",
    "QHead",
    "State",
    "check_encoder",
    "check_sparsity",
    "distrust_kernels",
    "dropout",
    "dropout_bits",
    "file_layout",
    "find_device",
    "fold",
    "folded",
    "has_fast_bf16",
    "is_pruned",
    "item_tables",
    "kept_entries",
    "kernels_for",
    "least_kept",
    "outcome_logits",
    "outcome_probabilities",
    "packed",
    "running_outcomes",
    "running_queries",
    "session_vectors",
    "state_size",
    "states_after",
    "streams",
    "sum_of",
    "unit",
    "unpacked",
    "use_kernels",
]

__getattr__, __dir__ = lazy_face(__name__)
