import { useState } from 'react'
import type { RowSelection } from '@/features/executions/components/execution-table'

/**
 * Ticked rows. They are forgotten when `scope` changes: nobody shall treat rows that the new filters do not show.
 * `matching` means all that the filters match, shown or not.
 */
export function useRowSelection(scope: string) {
  const [state, setState] = useState({ scope, ids: new Set<string>(), matching: false })
  const current = state.scope === scope ? state : { scope, ids: new Set<string>(), matching: false }
  const toggle: RowSelection['toggle'] = (ids, ticked) => {
    const next = new Set(current.ids)
    for (const id of ids) {
      if (ticked) next.add(id)
      else next.delete(id)
    }
    setState({ scope, ids: next, matching: false })
  }
  return {
    ids: current.ids,
    matching: current.matching,
    toggle,
    takeMatching: () => setState({ ...current, matching: true }),
    clear: () => setState({ scope, ids: new Set(), matching: false }),
  }
}
