-- The hot path's statements. The order of the parameters is that of store/progress.py.

-- name: insert_stage_run
INSERT INTO stage_runs (execution_id, position, idx, stage, type, status, attempt, spent, lost, needs_left,
needs_ok, needs_failed, lease_owner, lease_until, due_at, reason, state, error, rows, bytes, ready_at,
started_at, ended_at, waits_for, cached_from, iterations, reused_from)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_stage_run
UPDATE stage_runs SET status = ?, attempt = ?, spent = ?, lost = ?, needs_left = ?, needs_ok = ?, needs_failed
= ?, lease_owner = ?, lease_until = ?, due_at = ?, reason = ?, state = ?, error = ?, rows = ?, bytes = ?,
ready_at = ?, started_at = ?, ended_at = ?, waits_for = ?, cached_from = ?, iterations = ?
WHERE execution_id = ? AND position = ? AND idx = ? AND status = ? AND attempt = ?;

-- name: update_execution
UPDATE executions SET status = ?, retries = ?, started_at = ?, ended_at = ?, idle_seconds = ?,
timeout_at = ?, cancel_requested_at = ?, stopping_as = ?, failed_stage = ?, error = ?, reason = ?, phase = ?,
paused_at = ?
WHERE id = ? AND status = ?;

-- name: set_outputs
UPDATE executions SET outputs = ? WHERE id = ?;

-- name: insert_event
INSERT INTO events (execution_id, seq, at, type, stage, idx, payload)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (execution_id, seq) DO NOTHING;

-- name: insert_attempt
INSERT INTO attempts (execution_id, position, idx, attempt, status, worker, started_at, ended_at, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_result
INSERT INTO results (execution_id, position, idx, value, artifact_id)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (execution_id, position, idx) DO UPDATE SET value = excluded.value, artifact_id =
excluded.artifact_id;

-- name: insert_log
INSERT INTO logs (at, level, pipeline_id, execution_id, stage, idx, attempt, seq, message, fields)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_artifact
INSERT INTO artifacts (id, execution_id, stage, idx, attempt, name, kind, media_type, key, rows, bytes,
columns, profile, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_execution
INSERT INTO executions (id, pipeline_id, version, number, status, trigger, actor, inputs, data,
idempotency_key, rerun_of, from_stage, alone, priority, stages_total, logical_date, created_at,
timeout_at, parent_id, parent_position, parent_idx, depth, use_cache)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: next_number
UPDATE pipelines SET last_number = last_number + 1 WHERE id = ? AND deleted_at IS NULL RETURNING last_number;

-- name: execution_of_key
SELECT id, number FROM executions WHERE pipeline_id = ? AND idempotency_key = ?;

-- name: renew_leases
UPDATE stage_runs SET lease_until = ? WHERE lease_owner = ? AND lease_until IS NOT NULL;
