"""Learn from windows of one shape, all on the device: on a GPU the host only replays the work.

The windows are those of `sessions.SessionParallelWindows`, the losses and updates those of
`training.learner`; drawn are other negatives and dropout masks. `engine` says when it is taken,
`windows` what lies on the device, `candidates` what is scored, `objective` the loss, `step` one
update, `graphs` what is replayed. Where several processes learn together `rank_engine`,
`rank_windows` and `rank_step` say what is other.
"""
