import { useSearchParams } from 'react-router'
import { rootCause } from '@/features/executions/model/cause'
import type { Schemas } from '@/lib/api'

/** No stage may be called so: it stands for the execution as a whole. */
const WHOLE = '*'

export type InspectorTab = 'logs' | 'items' | 'data' | 'input' | 'config' | 'attempts'

type StageRun = Schemas['StageRunBody']

/** What is selected lives in the URL, so that graph, timeline, inspector and a shared link agree. */
export function useSelection(stages: readonly StageRun[]) {
  const [search, setSearch] = useSearchParams()
  const named = search.get('stage')
  const index = Number(search.get('index') ?? 0)
  const run =
    named === null
      ? rootCause(stages)
      : (stages.find((candidate) => candidate.stage === named && candidate.index === index) ?? null)

  /** One of the items of a foreach stage, which are no stages of their own. */
  const item =
    index > 0 && named !== null && run === null && stages.some(({ stage }) => stage === named)
      ? { stage: named, index }
      : null

  const change = (values: Record<string, string | null>) => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before)
        for (const [name, value] of Object.entries(values)) {
          if (value === null) after.delete(name)
          else after.set(name, value)
        }
        return after
      },
      { replace: true, preventScrollReset: true },
    )
  }

  return {
    run,
    item,
    tab: (search.get('tab') ?? 'logs') as InspectorTab,
    row: search.has('row') ? Number(search.get('row')) : null,
    selectStage: (stage: string, index = 0) =>
      change({ stage, index: index > 0 ? String(index) : null, row: null, line: null }),
    openItem: (stage: string, index: number) =>
      change({ stage, index: String(index), tab: 'logs', row: null, line: null }),
    showItems: (stage: string) =>
      change({ stage, index: null, tab: 'items', row: null, line: null }),
    selectWhole: () => change({ stage: WHOLE, index: null, tab: null, row: null, line: null }),
    selectTab: (tab: string) => change({ tab, row: null }),
    /** Open the input at a row; both are part of the URL. */
    showRow: (run: StageRun, row: number) =>
      change({
        stage: run.stage,
        index: run.index > 0 ? String(run.index) : null,
        tab: 'input',
        row: String(row),
      }),
    showLogs: (run: StageRun) =>
      change({
        stage: run.stage,
        index: run.index > 0 ? String(run.index) : null,
        tab: 'logs',
        row: null,
      }),
  }
}

export type Selection = ReturnType<typeof useSelection>
