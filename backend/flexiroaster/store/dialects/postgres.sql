-- The hot path's statements. The order of the parameters is that of store/progress.py.

-- name: insert_stage_run
INSERT INTO stage_runs (execution_id, position, idx, stage, type, status, attempt, spent, lost, needs_left,
needs_ok, needs_failed, lease_owner, lease_until, due_at, reason, state, error, rows, bytes, ready_at,
started_at, ended_at, waits_for, cached_from, iterations, reused_from)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: update_stage_run
UPDATE stage_runs SET status = %s, attempt = %s, spent = %s, lost = %s, needs_left = %s, needs_ok = %s,
needs_failed = %s, lease_owner = %s, lease_until = %s, due_at = %s, reason = %s, state = %s, error = %s, rows
= %s, bytes = %s, ready_at = %s, started_at = %s, ended_at = %s, waits_for = %s, cached_from = %s, iterations = %s
WHERE execution_id = %s AND position = %s AND idx = %s AND status = %s AND attempt = %s;

-- name: update_execution
UPDATE executions SET status = %s, retries = %s, started_at = %s, ended_at = %s, idle_seconds = %s,
timeout_at = %s, cancel_requested_at = %s, stopping_as = %s, failed_stage = %s, error = %s, reason = %s, phase = %s,
paused_at = %s
WHERE id = %s AND status = %s;

-- name: set_outputs
UPDATE executions SET outputs = %s WHERE id = %s;

-- name: insert_event
INSERT INTO events (execution_id, seq, at, type, stage, idx, payload)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (execution_id, seq) DO NOTHING;

-- name: insert_attempt
INSERT INTO attempts (execution_id, position, idx, attempt, status, worker, started_at, ended_at, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: put_result
INSERT INTO results (execution_id, position, idx, value, artifact_id)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (execution_id, position, idx) DO UPDATE SET value = excluded.value, artifact_id =
excluded.artifact_id;

-- name: insert_log
INSERT INTO logs (at, level, pipeline_id, execution_id, stage, idx, attempt, seq, message, fields)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: insert_artifact
INSERT INTO artifacts (id, execution_id, stage, idx, attempt, name, kind, media_type, key, rows, bytes,
columns, profile, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: insert_execution
INSERT INTO executions (id, pipeline_id, version, number, status, "trigger", actor, inputs, data,
idempotency_key, rerun_of, from_stage, alone, priority, stages_total, logical_date, created_at,
timeout_at, parent_id, parent_position, parent_idx, depth, use_cache)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: next_number
UPDATE pipelines SET last_number = last_number + 1 WHERE id = %s AND deleted_at IS NULL RETURNING last_number;

-- name: execution_of_key
SELECT id, number FROM executions WHERE pipeline_id = %s AND idempotency_key = %s;

-- name: renew_leases
UPDATE stage_runs SET lease_until = %s WHERE lease_owner = %s AND lease_until IS NOT NULL;
