const box=document.getElementById('zh'),kept=()=>{try{return localStorage.getItem('timbre-language')}catch{return null}};
const show=()=>{document.documentElement.lang=box.checked?'zh':'en'};
box.checked=(kept()||navigator.language||'').startsWith('zh');show();
box.onchange=()=>{show();try{localStorage.setItem('timbre-language',box.checked?'zh':'en')}catch{}};
