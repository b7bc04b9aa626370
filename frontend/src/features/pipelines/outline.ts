import type { GraphNode } from '@/components/stage-graph/model'
import type { Schemas } from '@/lib/api'

/** The stages of a definition, of which none runs. */
export function outlineNodes(stages: readonly Schemas['StageOutline'][]): GraphNode[] {
  return stages.map(({ id, name, type, needs }) => ({
    id,
    label: name,
    needs,
    status: null,
    caption: type,
  }))
}
