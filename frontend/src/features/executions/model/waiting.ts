import type { Schemas } from '@/lib/api'

type Execution = Pick<Schemas['ExecutionDetail'], 'ended_at' | 'stages' | 'status' | 'reason'>

/** Whether a stage is ready and nobody has taken it, or it is said why a running execution does not go on. */
export function waitsForWorker({ ended_at, stages, status, reason }: Execution): boolean {
  if (ended_at !== null) return false
  if (status === 'running' && reason !== null) return true
  return stages.some((run) => run.status === 'queued' && run.ready_at !== null)
}
