import { layersOf } from '@/components/stage-graph/layout'
import { plural } from '@/lib/format'
import { appearance, type Status } from '@/lib/status'

/** One box of the graph; `status` is null where nothing runs (a definition). */
export type GraphNode = {
  id: string
  label: string
  needs: string[]
  status: Status | null
  caption: string
  /** The stages a group stands for. */
  members?: string[]
}

/** Of the ids of groups; no stage can be called so. */
export const GROUP_PREFIX = 'group:'

/** Above this many stages similar ones are drawn as one. */
export const GROUP_ABOVE = 60
const SMALLEST_GROUP = 3

/** The state that tells most about several: what needs a person first, then what moves, then what is done. */
const BY_WEIGHT: Status[] = [
  'failed',
  'timed_out',
  'cancelling',
  'retrying',
  'waiting',
  'paused',
  'running',
  'queued',
  'pending',
  'cancelled',
  'skipped',
  'success',
  'cached',
  'reused',
]

export function combinedStatus(statuses: Iterable<Status>): Status | null {
  const present = new Set(statuses)
  return BY_WEIGHT.find((status) => present.has(status)) ?? null
}

/** "197 succeeded, 1 failed": every state with how often it occurs, the weightiest first. */
export function describeCounts(statuses: Iterable<Status>): string {
  const counts = new Map<Status, number>()
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1)
  return BY_WEIGHT.filter((status) => counts.has(status))
    .map((status) => `${counts.get(status)} ${appearance(status).word.toLowerCase()}`)
    .join(', ')
}

/**
 * Draw stages of one family ("part_001", "part_002", …) in one layer as one box. Grouping never reaches across layers,
 * so the grouped graph cannot get a cycle. `opened` holds the ids of groups to show in full.
 */
export function groupNodes(nodes: GraphNode[], opened: ReadonlySet<string>): GraphNode[] {
  const layers = layersOf(nodes)
  const families = new Map<string, GraphNode[]>()
  for (const node of nodes) {
    const key = `${family(node.id)}@${layers.get(node.id)}`
    families.set(key, [...(families.get(key) ?? []), node])
  }
  const groupOf = new Map<string, string>()
  const result: GraphNode[] = []
  for (const [key, members] of families) {
    const id = `${GROUP_PREFIX}${key}`
    if (members.length < SMALLEST_GROUP || opened.has(id)) {
      result.push(...members)
      continue
    }
    for (const member of members) groupOf.set(member.id, id)
    result.push(toGroup(id, members))
  }
  return result.map((node) => ({
    ...node,
    needs: [...new Set(node.needs.map((need) => groupOf.get(need) ?? need))],
  }))
}

function toGroup(id: string, members: GraphNode[]): GraphNode {
  const statuses = members.map((member) => member.status).filter((status) => status !== null)
  const label = `${family(members[0]?.id ?? '')}*`
  return {
    id,
    label,
    needs: members.flatMap((member) => member.needs),
    status: combinedStatus(statuses),
    caption: statuses.length > 0 ? describeCounts(statuses) : plural(members.length, 'stage'),
    members: members.map((member) => member.id),
  }
}

/** The id without the number at its end: "part_001" → "part_". */
function family(id: string): string {
  return id.replace(/\d+$/, '')
}
