-- The hot path's statements. The order of the parameters is that of store/progress.py.

-- name: insert_stage_run
INSERT INTO stage_runs (execution_id, position, idx, stage, type, pool, status, attempt, spent, lost, needs_left,
needs_ok, needs_failed, lease_owner, lease_until, due_at, reason, state, error, rows, bytes, ready_at,
started_at, ended_at, waits_for, cached_from, iterations, reused_from)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_new_stage_run
INSERT INTO stage_runs (execution_id, position, idx, stage, type, pool, status, attempt, needs_left, needs_ok,
needs_failed, ready_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_stage_run
UPDATE stage_runs SET status = ?, attempt = ?, spent = ?, lost = ?, needs_left = ?, needs_ok = ?, needs_failed
= ?, lease_owner = ?, lease_until = ?, due_at = ?, reason = ?, state = ?, error = ?, rows = ?, bytes = ?,
ready_at = ?, started_at = ?, ended_at = ?, waits_for = ?, cached_from = ?, iterations = ?
WHERE execution_id = ? AND position = ? AND idx = ? AND status = ? AND attempt = ?;

-- name: move_stage_run
UPDATE stage_runs SET status = ?, attempt = ?, needs_left = ?, needs_ok = ?, needs_failed = ?, lease_owner = ?,
lease_until = ?, reason = ?, ready_at = ?, started_at = ?, ended_at = ?
WHERE execution_id = ? AND position = ? AND idx = ? AND status = ? AND attempt = ?;

-- name: update_execution
UPDATE executions SET status = ?, retries = ?, started_at = ?, ended_at = ?, idle_seconds = ?,
timeout_at = ?, cancel_requested_at = ?, stopping_as = ?, failed_stage = ?, error = ?, reason = ?, phase = ?,
paused_at = ?, waiting_since = ?
WHERE id = ? AND status = ?;

-- name: set_outputs
UPDATE executions SET outputs = ? WHERE id = ?;

-- name: insert_event
INSERT INTO events (execution_id, seq, at, type, stage, idx, payload)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (execution_id, seq) DO NOTHING;

-- name: insert_attempt
INSERT INTO attempts (execution_id, position, idx, attempt, status, worker, started_at, ended_at, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (execution_id, position, idx, attempt) DO NOTHING;

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
timeout_at, parent_id, parent_position, parent_idx, depth, use_cache, concurrency_key,
waiting_since, reason, idempotency_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: next_number
UPDATE pipelines SET last_number = last_number + 1 WHERE id = ? AND deleted_at IS NULL
RETURNING last_number, enabled, version;

-- name: execution_of_key
SELECT id, number, idempotency_digest FROM executions WHERE pipeline_id = ? AND idempotency_key = ?;

-- name: put_items
INSERT INTO foreach_items (execution_id, position, idx, value)
SELECT ?, ?, ? + key, value FROM json_each(?) WHERE TRUE
ON CONFLICT (execution_id, position, idx) DO UPDATE SET value = excluded.value;

-- name: put_item_runs
WITH RECURSIVE given (idx) AS (SELECT ? UNION ALL SELECT idx + 1 FROM given WHERE idx < ?)
INSERT INTO stage_runs (execution_id, position, idx, stage, type, status, attempt, needs_left, needs_ok, needs_failed,
reason, ready_at, pool)
SELECT ?, ?, idx, ?, ?, 'queued', 0, 0, 0, 0, ?, ?, ?
FROM given WHERE TRUE
ON CONFLICT (execution_id, position, idx) DO UPDATE SET status = excluded.status, spent = stage_runs.attempt,
lost = 0, lease_owner = NULL, lease_until = NULL, due_at = NULL, reason = excluded.reason, state = NULL, error = NULL,
rows = NULL, bytes = NULL, ready_at = excluded.ready_at, pool = excluded.pool, started_at = NULL, ended_at = NULL,
waits_for = NULL, cached_from = NULL, iterations = 0;

-- name: keep_item_attempts
INSERT INTO attempts (execution_id, position, idx, attempt, status, started_at, ended_at, error)
SELECT execution_id, position, idx, attempt, status, started_at, ended_at, error FROM stage_runs
WHERE execution_id = ? AND position = ? AND idx BETWEEN ? AND ? AND attempt > 0
AND status IN ('failed', 'timed_out', 'cancelled', ?)
ON CONFLICT (execution_id, position, idx, attempt) DO NOTHING;

-- name: requeue_items
UPDATE stage_runs SET status = 'queued', spent = attempt, lost = 0, due_at = NULL, reason = ?, state = NULL,
error = NULL, rows = NULL, bytes = NULL, ready_at = ?, started_at = NULL, ended_at = NULL, waits_for = NULL,
cached_from = NULL, iterations = 0
WHERE execution_id = ? AND position = ? AND idx BETWEEN ? AND ?
AND status IN ('failed', 'timed_out', 'cancelled');

-- name: queued_items
SELECT r.idx, r.attempt, r.spent, r.lost, r.reason, r.state, r.due_at, r.ready_at, r.started_at, r.waits_for,
r.iterations, r.error, i.value
FROM stage_runs r JOIN foreach_items i
ON i.execution_id = r.execution_id AND i.position = r.position AND i.idx = r.idx
WHERE r.execution_id = ? AND r.position = ? AND r.idx > ? AND r.status = 'queued'
ORDER BY r.idx LIMIT ?;

-- name: cancel_queued_items
UPDATE stage_runs SET status = 'cancelled', reason = ?, ended_at = ?, due_at = NULL, state = NULL, waits_for = NULL
WHERE execution_id = ? AND position = ? AND idx > 0 AND status = 'queued';

-- name: lock_pipeline
SELECT enabled FROM pipelines WHERE id = ?;

-- name: admitted
SELECT count(*), count(*) FILTER (WHERE status = 'cancelling') FROM executions
WHERE pipeline_id = ? AND concurrency_key = ? AND ended_at IS NULL AND waiting_since IS NULL;

-- name: waiting
SELECT count(*) FROM (SELECT 1 FROM executions
WHERE pipeline_id = ? AND concurrency_key = ? AND waiting_since IS NOT NULL LIMIT ?) AS found;

-- name: next_waiting
SELECT id, version FROM executions
WHERE pipeline_id = ? AND concurrency_key = ? AND waiting_since IS NOT NULL AND status = 'queued'
ORDER BY priority DESC, number LIMIT 1;

-- name: oldest_of_key
SELECT id FROM (
SELECT id, number, 0 AS waits FROM executions
WHERE pipeline_id = ? AND concurrency_key = ? AND ended_at IS NULL AND waiting_since IS NULL
AND status <> 'cancelling'
UNION ALL
SELECT id, number, 1 AS waits FROM executions
WHERE pipeline_id = ? AND concurrency_key = ? AND waiting_since IS NOT NULL
) AS found ORDER BY waits, number LIMIT ?;

-- name: lock_gate
SELECT ?;

-- name: pool_slots
SELECT (SELECT slots FROM pools WHERE name = ?), (SELECT count(*) FROM stage_runs
WHERE pool = ? AND status IN ('running', 'cancelling') AND lease_owner IS NOT NULL AND ended_at IS NULL);

-- name: put_rate
INSERT INTO rate_limits (key, full_at) VALUES (?, ?)
ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at;
