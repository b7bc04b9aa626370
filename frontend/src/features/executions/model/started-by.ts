import type { Schemas } from '@/lib/api'

type Started = Pick<Schemas['ExecutionSummary'], 'trigger' | 'actor'>

/** "manual"; of a schedule with the trigger's id, which stands in place of a person: "schedule · nightly". */
export function startedBy({ trigger, actor }: Started): string {
  return isScheduled({ trigger }) && actor ? `${trigger} · ${actor}` : trigger
}

export function isScheduled({ trigger }: Pick<Started, 'trigger'>): boolean {
  return trigger === 'schedule'
}
