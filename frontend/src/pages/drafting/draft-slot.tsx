import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { assistantQuery } from '@/features/assistant/api'
import { useHasRole } from '@/store/session'

const DraftPanel = lazy(async () => ({
  default: (await import('@/pages/drafting/draft-panel')).DraftPanel,
}))

type DraftSlotProps = {
  /** Null for a pipeline that is not there yet. */
  pipelineId: string | null
  /** The text to be changed; empty where there is none yet. */
  source: string
  onUse: (source: string) => void
}

/** The assistant beside a definition that is being written, where it is switched on. */
export function DraftSlot(props: DraftSlotProps) {
  const mayDraft = useHasRole('editor')
  const assistant = useQuery({ ...assistantQuery(props.pipelineId), enabled: mayDraft })
  if (!assistant.data?.on) return null
  return (
    <Suspense fallback={null}>
      <DraftPanel {...props} />
    </Suspense>
  )
}
