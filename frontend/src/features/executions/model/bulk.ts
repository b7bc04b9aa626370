import type { ExecutionFilter } from '@/features/executions/api'
import type { Schemas } from '@/lib/api'
import { plural } from '@/lib/format'
import type { ExecutionStatus } from '@/lib/status'
import type { ToastLink } from '@/store/toasts'

export type BulkAction = 'retry' | 'cancel'
export type BulkRequest = Schemas['BulkRequest']
export type BulkResponse = Schemas['BulkResponse']

/** Executions that somebody has ticked, or all that a filter matches, shown or not. */
export type BulkTarget =
  | { kind: 'ids'; ids: readonly string[] }
  | { kind: 'matching'; filter: ExecutionFilter }

/** What the server takes in one call. */
export const MOST_SELECTED = 1000

const POSSIBLE: Record<BulkAction, ReadonlySet<ExecutionStatus>> = {
  retry: new Set(['failed', 'timed_out', 'cancelled']),
  cancel: new Set(['queued', 'running', 'paused', 'cancelling']),
}

/** Whether any execution in one of these states could be treated; the server is asked how many are. */
export function isPossible(action: BulkAction, statuses: Iterable<ExecutionStatus>): boolean {
  for (const status of statuses) if (POSSIBLE[action].has(status)) return true
  return false
}

/** The same for a filter: one that names no states matches all of them. */
export function isPossibleFor(action: BulkAction, { status }: ExecutionFilter): boolean {
  return status === undefined || isPossible(action, status)
}

/** A filter that narrows nothing has to say `all`: nobody shall treat everything by a slip. */
export function toRequest(target: BulkTarget): Partial<BulkRequest> {
  if (target.kind === 'ids') return { ids: [...target.ids] }
  const { status, pipelineId, text, since } = target.filter
  const narrowed = {
    ...(status && { status }),
    ...(pipelineId && { pipeline_id: pipelineId }),
    ...(text && { q: text }),
    ...(since && { since }),
  }
  return Object.keys(narrowed).length > 0 ? narrowed : { all: true }
}

type Told = { tone: 'success' | 'failed'; text: string; links: ToastLink[] }

const LINKED_AT_MOST = 4
const DONE: Record<BulkAction, string> = { retry: 'retried', cancel: 'told to stop' }

/** What became of it, in a sentence, with ways to those that were refused. */
export function tell(action: BulkAction, items: BulkResponse['items']): Told {
  const refused = items.filter(({ done }) => !done)
  const done = items.length - refused.length
  const text = [
    `${plural(done, 'execution')} ${DONE[action]}`,
    refused.length > 0 && `${refused.length.toLocaleString('en')} refused`,
  ]
    .filter(Boolean)
    .join(', ')
  const links = refused.slice(0, LINKED_AT_MOST).map((item) => ({
    label: `${item.pipeline_id} #${item.number}: ${item.message}`,
    to: `/executions/${item.execution_id}`,
  }))
  const left = refused.length - links.length
  return {
    tone: refused.length > 0 ? 'failed' : 'success',
    text: left > 0 ? `${text}, of which ${links.length} are named:` : `${text}.`,
    links,
  }
}
