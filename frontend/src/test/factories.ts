import type { Schemas } from '@/lib/api'
import type { LiveEvent } from '@/lib/live-events'

/** Valid bodies of the API in one call; a test names only what it is about. */

export const START = '2026-03-04T10:00:00.000Z'

/** `seconds` after START. */
export function at(seconds: number): string {
  return new Date(Date.parse(START) + seconds * 1000).toISOString()
}

export function stageRun(
  stage: string,
  values: Partial<Schemas['StageRunBody']> = {},
): Schemas['StageRunBody'] {
  return {
    stage,
    index: 0,
    name: stage,
    type: 'noop',
    needs: [],
    phase: 'main',
    iterations: 0,
    late: false,
    status: 'pending',
    attempt: 0,
    max_attempts: 1,
    reason: null,
    error: null,
    due_at: null,
    ready_at: null,
    started_at: null,
    ended_at: null,
    duration_seconds: null,
    wait_seconds: null,
    usual_seconds: null,
    rows: null,
    bytes: null,
    artifacts: [],
    ...values,
  }
}

/** An item of a foreach stage. */
export function item(index: number, status: Schemas['ItemBody']['status']): Schemas['ItemBody'] {
  return {
    index,
    item: `region-${index}`,
    status,
    attempt: 1,
    reason: null,
    error: null,
    due_at: null,
    ready_at: START,
    started_at: START,
    ended_at: at(1),
    duration_seconds: 1,
    rows: null,
    bytes: null,
  }
}

/** A stage run that has ended, with its times in seconds after START. */
export function endedRun(
  stage: string,
  [from, to]: [number, number],
  values: Partial<Schemas['StageRunBody']> = {},
): Schemas['StageRunBody'] {
  return stageRun(stage, {
    status: 'success',
    attempt: 1,
    ready_at: at(from),
    started_at: at(from),
    ended_at: at(to),
    duration_seconds: to - from,
    wait_seconds: 0,
    ...values,
  })
}

export function stageError(
  values: Partial<Schemas['StageErrorBody']> = {},
): Schemas['StageErrorBody'] {
  return {
    message: "Row 7: column 'amount' must be a number, not 'N/A'.",
    code: 'invalid_value',
    kind: 'data',
    details: {},
    ...values,
  }
}

export function executionSummary(
  values: Partial<Schemas['ExecutionSummary']> = {},
): Schemas['ExecutionSummary'] {
  return {
    id: 'e1',
    number: 7,
    pipeline_id: 'orders',
    pipeline_name: 'Orders',
    version: 3,
    status: 'success',
    trigger: 'manual',
    actor: 'ada@example.com',
    created_at: START,
    started_at: START,
    ended_at: at(4),
    queued_seconds: 0.1,
    duration_seconds: 4,
    stages_total: 3,
    counts: { success: 3 },
    failed_stage: null,
    error: null,
    reason: null,
    rerun_of: null,
    from_stage: null,
    alone: false,
    trial: false,
    retries: 0,
    priority: 0,
    idle_seconds: 0,
    phase: 'main',
    late: false,
    ...values,
  }
}

export function executionDetail(
  values: Partial<Schemas['ExecutionDetail']> = {},
): Schemas['ExecutionDetail'] {
  return {
    ...executionSummary(),
    inputs: {},
    data: null,
    outputs: null,
    stages: [],
    usual_seconds: null,
    last_seq: 0,
    retry: null,
    timeout_at: null,
    use_cache: true,
    logical_date: START,
    children: [],
    prediction: null,
    ...values,
  }
}

/** load → check (failed) → publish (not run). */
export function failedExecution(
  values: Partial<Schemas['ExecutionDetail']> = {},
): Schemas['ExecutionDetail'] {
  const error = stageError({ location: { row: 7, column: 'amount', value: 'N/A' } })
  return executionDetail({
    status: 'failed',
    failed_stage: 'check',
    error,
    counts: { success: 1, failed: 1, skipped: 1 },
    stages: [
      endedRun('load', [0, 1], { rows: 12 }),
      endedRun('check', [1, 2], { status: 'failed', needs: ['load'], error }),
      stageRun('publish', {
        status: 'skipped',
        needs: ['check'],
        reason: 'needs check, which failed',
      }),
    ],
    retry: {
      execution_id: 'e1',
      reused: ['load'],
      to_run: ['check', 'publish'],
      message: '1 stage reused, 2 will run',
    },
    last_seq: 6,
    ...values,
  })
}

export function artifact(values: Partial<Schemas['ArtifactBody']> = {}): Schemas['ArtifactBody'] {
  return {
    id: 'a1',
    execution_id: 'e1',
    stage: 'load',
    index: 0,
    attempt: 1,
    name: 'data',
    kind: 'table',
    media_type: 'application/vnd.apache.parquet',
    rows: 12,
    bytes: 1024,
    columns: null,
    created_at: START,
    ...values,
  }
}

export function pipelineSummary(
  values: Partial<Schemas['PipelineSummary']> = {},
): Schemas['PipelineSummary'] {
  return {
    id: 'orders',
    name: 'Orders',
    description: '',
    labels: {},
    version: 3,
    enabled: true,
    stages_total: 3,
    created_at: START,
    updated_at: START,
    recent: [],
    stats: null,
    ...values,
  }
}

export function pipelineDetail(
  values: Partial<Schemas['PipelineDetail']> = {},
): Schemas['PipelineDetail'] {
  return {
    ...pipelineSummary(),
    definition: {},
    source: 'id: orders\nstages: []\n',
    source_format: 'yaml',
    stages: [],
    inputs_schema: { type: 'object', properties: {} },
    code_stages: [],
    problems: [],
    drafts: [],
    ...values,
  }
}

export function pipelineVersion(
  values: Partial<Schemas['PipelineVersionDetail']> = {},
): Schemas['PipelineVersionDetail'] {
  return {
    pipeline_id: 'orders',
    version: 3,
    state: 'published',
    digest: '3b5d',
    note: '',
    created_at: START,
    created_by: 'ada@example.com',
    based_on: null,
    published_at: START,
    published_by: 'ada@example.com',
    stages_total: 3,
    definition: {},
    source: 'id: orders\nstages: []\n',
    source_format: 'yaml',
    stages: [],
    inputs_schema: { type: 'object', properties: {} },
    ...values,
  }
}

export function runBar(values: Partial<Schemas['RunBar']> = {}): Schemas['RunBar'] {
  return {
    id: 'e1',
    number: 7,
    status: 'success',
    created_at: START,
    duration_seconds: 4,
    ...values,
  }
}

/** Mon to Fri at 02:15 in Paris; START is a Wednesday. */
export function trigger(values: Partial<Schemas['TriggerBody']> = {}): Schemas['TriggerBody'] {
  const upcoming = [5, 6, 9, 10, 11].map(
    (day) => `2026-03-${String(day).padStart(2, '0')}T01:15:00Z`,
  )
  return {
    pipeline_id: 'orders',
    pipeline_name: 'Orders',
    id: 'nightly',
    type: 'schedule',
    cron: '15 2 * * 1-5',
    every: null,
    timezone: 'Europe/Paris',
    catchup: 'latest',
    start: null,
    end: null,
    inputs: {},
    when: null,
    next_at: upcoming[0] ?? null,
    upcoming,
    last: null,
    paused_at: null,
    paused_by: null,
    pipeline_enabled: true,
    reason: null,
    ...values,
  }
}

export function firing(values: Partial<Schemas['FiringBody']> = {}): Schemas['FiringBody'] {
  return {
    instant: '2026-03-04T01:15:00Z',
    state: 'started',
    execution_id: 'e1',
    execution_number: 7,
    execution_status: 'success',
    count: 1,
    reason: null,
    at: '2026-03-04T01:15:00.200Z',
    ...values,
  }
}

export function backfill(values: Partial<Schemas['BackfillBody']> = {}): Schemas['BackfillBody'] {
  return {
    instants: 5,
    first: '2026-03-02T01:15:00Z',
    last: '2026-03-06T01:15:00Z',
    known: 0,
    started: 0,
    skipped: 0,
    refused: 0,
    left: 5,
    note: null,
    reason: null,
    ...values,
  }
}

export function approval(values: Partial<Schemas['ApprovalBody']> = {}): Schemas['ApprovalBody'] {
  return {
    execution_id: 'e1',
    number: 7,
    pipeline_id: 'orders',
    pipeline_name: 'Orders',
    stage: 'review',
    index: 0,
    message: '12 bad rows. Publish anyway?',
    assignees: [],
    form: null,
    on_timeout: 'reject',
    asked_at: START,
    due_at: null,
    may_decide: true,
    ...values,
  }
}

export function worker(values: Partial<Schemas['WorkerBody']> = {}): Schemas['WorkerBody'] {
  return {
    id: 'w1',
    role: 'server',
    pools: null,
    host: 'node-1',
    pid: 4711,
    version: '0.1.0',
    state: 'working',
    is_here: true,
    slots: 8,
    running: 0,
    stages: [],
    started_at: '2026-03-04T11:00:00Z',
    seen_at: '2026-03-04T12:00:00Z',
    last_poll_at: null,
    stopping_at: null,
    lost_at: null,
    ...values,
  }
}

export function runningStage(
  values: Partial<Schemas['RunningStage']> = {},
): Schemas['RunningStage'] {
  return {
    execution_id: 'e7',
    execution_number: 7,
    pipeline_id: 'orders',
    pipeline_name: 'Orders',
    stage: 'load',
    index: 0,
    attempt: 1,
    started_at: '2026-03-04T12:00:00Z',
    ...values,
  }
}

export function queueDepth(values: Partial<Schemas['QueueBody']> = {}): Schemas['QueueBody'] {
  return {
    pool: 'default',
    slots: null,
    waiting: 0,
    running: 0,
    oldest_wait_seconds: null,
    workers: 1,
    reason: null,
    ...values,
  }
}

export function maintenanceWindow(
  values: Partial<Schemas['WindowBody']> = {},
): Schemas['WindowBody'] {
  return {
    id: 'w1',
    begins_at: START,
    ends_at: at(3600),
    pipeline_id: null,
    reason: '',
    by: 'ada@example.com',
    ...values,
  }
}

export function pool(values: Partial<Schemas['PoolBody']> = {}): Schemas['PoolBody'] {
  return {
    name: 'cpu_heavy',
    slots: 4,
    used: 2,
    waiting: 0,
    pipelines: 1,
    workers: 1,
    reason: null,
    ...values,
  }
}

export function suggestion(
  values: Partial<Schemas['SuggestionDetail']> = {},
): Schemas['SuggestionDetail'] {
  return {
    id: 's1',
    kind: 'parallel',
    value: 'faster',
    state: 'open',
    pipeline_id: 'orders',
    pipeline_name: 'Orders',
    title: 'Start rates without waiting for load',
    text: 'The stage `rates` never uses a result of `load`.',
    stages: ['rates'],
    executions: 40,
    shown: ['e1'],
    confidence: 0.998,
    call: null,
    saving: { seconds: 19, low: 15, high: 23, share: 0.31, executions: 40 },
    numbers: {},
    applicable: true,
    found_at: START,
    changed_at: START,
    changed_by: null,
    reason: null,
    version_before: null,
    version_applied: null,
    version_undone: null,
    diff: '--- before\n+++ after\n@@ -4,2 +4,2 @@\n   - id: rates\n-    needs: [load]\n+    needs: []\n',
    base_version: 3,
    why_not: null,
    replay: {
      now_seconds: 61,
      after_seconds: 42,
      now: [
        { stage: 'load', start: 0, end: 24 },
        { stage: 'rates', start: 24, end: 61 },
      ],
      after: [
        { stage: 'load', start: 0, end: 24 },
        { stage: 'rates', start: 0, end: 42 },
      ],
    },
    outcome: null,
    ...values,
  }
}

export function insight(values: Partial<Schemas['InsightBody']> = {}): Schemas['InsightBody'] {
  return {
    id: 'i1',
    rule: 'slow_runs',
    state: 'open',
    subject: 'orders/check',
    text: 'check of orders takes 92 s instead of 61 s.',
    pipelines: ['orders'],
    stage: 'check',
    since: START,
    until: null,
    score: 1.8,
    threshold: 1,
    confidence: 0.9993,
    executions: ['e1'],
    numbers: { usual: 61, now: 92 },
    found_at: START,
    acknowledged_at: null,
    acknowledged_by: null,
    verdict: null,
    ...values,
  }
}

export function learning(values: Partial<Schemas['AiBody']> = {}): Schemas['AiBody'] {
  return {
    on: true,
    missing: [],
    note: null,
    looked_at: START,
    trained_at: START,
    models: [],
    more_needed: [],
    ...values,
  }
}

export function learnedModel(values: Partial<Schemas['ModelBody']> = {}): Schemas['ModelBody'] {
  return {
    id: 'stages-failures-3b5d5c371295',
    kind: 'stages-failures',
    status: 'champion',
    trained_at: START,
    size: 2048,
    card: {
      runs: 18_549,
      failures: 871,
      champion: 'trees',
      metrics: { runs: 5000, failures: 240, auc: 0.834, brier: 0.031, ece: 0.006 },
      baselines: { 'failure rate': { runs: 5000, failures: 240, auc: 0.5, brier: 0.046, ece: 0 } },
      calibration: [
        { low: 0, high: 0.1, runs: 4600, predicted: 0.02, happened: 0.021 },
        { low: 0.3, high: 0.4, runs: 400, predicted: 0.34, happened: 0.36 },
      ],
      drift: [{ feature: 'hour', label: 'hour of the day', index: 0.31 }],
    },
    ...values,
  }
}

export function explanation(
  values: Partial<Schemas['ExplanationBody']> = {},
): Schemas['ExplanationBody'] {
  return {
    execution_id: 'e1',
    stage: 'check',
    causes: [
      {
        kind: 'bad_rows',
        probability: 0.86,
        text: '3 of 12 rows were refused, usually none.',
        executions: [],
        numbers: {},
      },
      { kind: 'unknown', probability: 0.14, text: 'Something else.', executions: [], numbers: {} },
    ],
    compared: 97,
    note: null,
    learns: true,
    failed_with: null,
    seen_before: { count: 3, first_at: START, last_at: START, executions: [] },
    suggestions: [],
    assistant: false,
    ...values,
  }
}

/** Switched on. */
export function assistant(
  values: Partial<Schemas['AssistantBody']> = {},
): Schemas['AssistantBody'] {
  return { on: true, note: null, host: 'llm.example.com', model: 'small', ...values }
}

export function project(values: Partial<Schemas['ProjectBody']> = {}): Schemas['ProjectBody'] {
  return {
    name: 'default',
    pipelines: 3,
    learning: true,
    assistant: false,
    changed_at: null,
    changed_by: null,
    ...values,
  }
}

/** What would be sent to the assistant. */
export function sent(text: string, values: Partial<Schemas['SentBody']> = {}): Schemas['SentBody'] {
  return {
    host: 'llm.example.com',
    model: 'small',
    messages: [
      { role: 'system', text: 'You explain.' },
      { role: 'user', text },
    ],
    hidden: 2,
    ...values,
  }
}

/** What is expected of an execution, on much history. */
export function prediction(
  values: Partial<Schemas['PredictionBody']> = {},
): Schemas['PredictionBody'] {
  return {
    enough: true,
    executions: 120,
    wanted: 20,
    note: null,
    made_at: START,
    failure_probability: 0.71,
    failure_low: 0.55,
    failure_high: 0.83,
    p10_seconds: 10,
    p50_seconds: 12,
    p90_seconds: 16,
    ends_at: null,
    ends_latest: null,
    basis: 'counts',
    model: 'prior',
    model_id: null,
    as_of: START,
    words: '12 of the last 16 runs failed.',
    reasons: [],
    stages: [],
    outlook: null,
    ...values,
  }
}

/** Of executions that were treated: `refused` says why for each that was not. */
export function bulkResponse(
  done: number[],
  refused: Record<number, string> = {},
  values: Partial<Schemas['BulkResponse']> = {},
): Schemas['BulkResponse'] {
  const item = (number: number, why: string | null) => ({
    execution_id: `e${number}`,
    pipeline_id: 'orders',
    number,
    done: why === null,
    message: why ?? '1 reused, 2 run again',
    code: why === null ? null : 'conflict',
  })
  const items = [
    ...done.map((number) => item(number, null)),
    ...Object.entries(refused).map(([number, why]) => item(Number(number), why)),
  ]
  return {
    matched: items.length,
    done: done.length,
    refused: items.length - done.length,
    left: 0,
    next_cursor: null,
    items,
    ...values,
  }
}

export function metrics(values: Partial<Schemas['MetricsBody']> = {}): Schemas['MetricsBody'] {
  return {
    total_pipelines: 4,
    enabled_pipelines: 3,
    active_executions: 2,
    queued_executions: 1,
    executions_24h: 40,
    failed_24h: 2,
    success_rate: 95,
    avg_duration: 12,
    p95_duration: 60,
    previous_success_rate: 96.5,
    previous_avg_duration: 15,
    ...values,
  }
}

export function bucket(values: Partial<Schemas['MetricsBucket']> = {}): Schemas['MetricsBucket'] {
  return {
    at: START,
    started: 0,
    success: 0,
    failed: 0,
    cancelled: 0,
    timed_out: 0,
    avg_duration: null,
    ...values,
  }
}

export function logLine(values: Partial<Schemas['LogLine']> = {}): Schemas['LogLine'] {
  return {
    id: 1,
    at: START,
    level: 'info',
    message: 'read 12 rows',
    pipeline_id: 'orders',
    execution_id: 'e1',
    stage: 'load',
    index: 0,
    attempt: 1,
    fields: {},
    ...values,
  }
}

export function tokenResponse(
  role: Schemas['UserBody']['role'] = 'admin',
): Schemas['TokenResponse'] {
  return {
    access_token: 'token',
    token_type: 'bearer',
    expires_in: 900,
    user: { id: 'u1', email: 'ada@example.com', role },
  }
}

export function liveEvent(type: LiveEvent['type'], values: Partial<LiveEvent> = {}): LiveEvent {
  return {
    type,
    seq: 1,
    at: at(10),
    execution_id: 'e1',
    pipeline_id: 'orders',
    stage: null,
    index: 0,
    details: {},
    ...values,
  }
}
